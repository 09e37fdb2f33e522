"""Importance matrices: held against llama.cpp's own tool, and their files."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from pajamas.errors import ModelFileError, UsageError
from pajamas.progress import NO_PROGRESS
from pajamas_gguf.imatrix.child import Task
from pajamas_gguf.imatrix.corpus import read_corpus
from pajamas_gguf.imatrix.matrix import Entry, ImportanceMatrix, read_matrix, write_matrix
from pajamas_gguf.imatrix.runner import compute
from quantize_jobs import TINY
from random_models import convert_folder, make_model

# Printed by llama-imatrix of the llama.cpp in llama-cpp-python 0.3.36, -t 1 --no-ppl, for the F32 files that these
# tests make and the first 60 conversations of calibration.jsonl: the last matrix's first three sums, the sum of all,
# the counts. On the machine that printed them the files were equal to the byte; another CPU rounds otherwise.
ORACLE = {
    "tiny": {
        "blk.0.attn_q.weight": ([182.825424, 153.487823, 658.351196], 59525.5236817, [2048]),
        "blk.1.ffn_down.weight": ([126.666573, 516.878357, 1545.013916], 564471.549118, [2048]),
        "blk.3.ffn_down.weight": ([519.027405, 729.247375, 2716.655029], 2689281.392639, [2048]),
    },
    "Qwen3-30B-A3B": {
        "blk.0.attn_q.weight": ([1863.985962, 2313.822998, 2526.46875], 131949.2137451, [2048]),
        "blk.1.ffn_down_exps.weight": ([1.938687086, 8.02437019, 30.75714874], 1581.8610875, [1284, 941, 755, 1116]),
    },
}
REL = 2e-4


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """A function: the matrix of a model for the first 60 conversations, computed in the child process."""
    folder = tmp_path_factory.mktemp("imatrix")

    def make(name):
        model, text, output = folder / f"{name}.gguf", folder / "text.txt", folder / f"{name}-imatrix.gguf"
        convert_folder(TINY if name == "tiny" else make_model(name, folder), model, "f32")
        text.write_text(read_corpus((TINY / "calibration.jsonl").read_bytes(), "calibration.jsonl", 60).text)
        task = Task(
            model=str(model), text=str(text), name="text.txt", output=str(output), threads=1, extra_buffers=True,
            max_chunks=None,
        )  # fmt: skip
        assert compute(task, folder, NO_PROGRESS) == 2048
        return read_matrix(output)

    return make


@pytest.mark.parametrize(("name", "entries"), [("tiny", 28), ("Qwen3-30B-A3B", 16)])
def test_as_llama_imatrix_has_it(name, entries, computed):
    matrix = computed(name)

    assert (len(matrix.entries), matrix.chunks, matrix.chunk_size) == (entries, 4, 512)
    assert matrix.datasets == ("text.txt",)
    for tensor, (first, total, counts) in ORACLE[name].items():
        entry = matrix.entries[tensor]
        assert entry.sums[-1][:3].tolist() == pytest.approx(first, rel=REL)
        assert entry.sums.astype(np.float64).sum() == pytest.approx(total, rel=REL)
        # Rounding may send a token to another expert, but no token is lost.
        assert entry.counts.sum() == sum(counts)
        assert entry.counts.tolist() == pytest.approx(counts, abs=4)


def matrix_of(**entries):
    return ImportanceMatrix(
        entries={name: Entry(np.array(sums, np.float32), np.array(counts, np.float32))
                 for name, (sums, counts) in entries.items()},
        datasets=("a.txt", "b.txt"), chunks=3, chunk_size=512,
    )  # fmt: skip


def test_a_written_file_reads_as_it_was(tmp_path):
    path = tmp_path / "m.gguf"
    write_matrix(path, matrix_of(dense=([[2, 4, 6]], [2]), experts=([[1, 2], [0, 0]], [4, 0])))

    found = read_matrix(path)

    assert (found.datasets, found.chunks, found.chunk_size, found.legacy) == (("a.txt", "b.txt"), 3, 512, False)
    assert found.entries["dense"].means().tolist() == [[1, 2, 3]]
    assert found.entries["experts"].means().tolist() == [[0.25, 0.5], [1, 1]]  # never reached: all alike
    assert found.partial == {"experts": 1}


TAIL = struct.pack("<ii", 7, 5) + b"a.txt"


def legacy(name=b"blk.0.x", calls=2, values=(2.0, 6.0), tail=TAIL):
    entry = struct.pack("<i", len(name)) + name + struct.pack("<ii", calls, len(values))
    return struct.pack("<i", 1) + entry + struct.pack(f"<{len(values)}f", *values) + tail


def test_the_older_format(tmp_path):
    path = tmp_path / "m.dat"
    path.write_bytes(legacy())

    found = read_matrix(path)

    assert (found.legacy, found.chunks, found.datasets) == (True, 7, ("a.txt",))
    assert found.entries["blk.0.x"].means().tolist() == [[1, 3]]
    path.write_bytes(legacy(calls=0, tail=b""))
    assert read_matrix(path).entries["blk.0.x"].means().tolist() == [[2, 6]]


@pytest.mark.parametrize(
    "data",
    [
        b"", b"hello, I am no matrix", legacy()[:20], legacy(values=()), legacy(values=(float("nan"),)),
        legacy(values=(-1.0,)), struct.pack("<i", 1 << 30), struct.pack("<ii", 1, 1 << 30), b"GGUF\x03\0\0\0",
        legacy(name=b"\xff\xfe"),
    ],
)  # fmt: skip
def test_damaged_files_are_refused(data, tmp_path):
    path = tmp_path / "m.dat"
    path.write_bytes(data)

    with pytest.raises(ModelFileError):
        read_matrix(path)


def test_a_model_is_no_matrix(tiny_bf16, tmp_path):
    with pytest.raises(ModelFileError, match=r"general\.type"):
        read_matrix(tiny_bf16)
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_matrix(tmp_path / "none.gguf")


def test_a_text_too_short(tiny_bf16, tmp_path):
    (tmp_path / "short.txt").write_text("Too short.")
    task = Task(
        model=str(tiny_bf16), text=str(tmp_path / "short.txt"), name="short.txt", output=str(tmp_path / "m.gguf"),
        threads=1, extra_buffers=True, max_chunks=None,
    )  # fmt: skip

    with pytest.raises(UsageError, match=r"short\.txt is too short"):
        compute(task, tmp_path, NO_PROGRESS)
