"""The converter against what llama.cpp's own converter made of the same models, and its promises about files."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import gguf
import numpy as np
import pytest

from gguf_facts import differences, gguf_facts
from pajamas.digests import template_digest, tokenizer_digest
from pajamas.errors import EngineMissing, UsageError
from pajamas.gguf_header import read_header
from pajamas.modelfiles import LocalFiles
from pajamas.source import Source
from pajamas_gguf.convert import converter, upstream
from pajamas_gguf.convert.families.registry import FAMILIES
from pajamas_gguf.convert.tensors import encode
from random_model_configs import MODELS
from random_models import convert_folder, make_model, write_safetensors

GOLDENS = json.loads(Path(__file__).with_name("converter_goldens.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", MODELS)
def test_equals_llama_cpp(name, tmp_path):
    conversion = convert_folder(make_model(name, tmp_path), tmp_path / "out.gguf")

    facts = gguf_facts(conversion.path, tokenizer=False)
    assert differences(facts, GOLDENS[name]) == []
    assert [(t.name, t.type, list(t.shape)) for t in conversion.tensors] == [
        (tensor, kind, shape) for tensor, (kind, shape, _) in facts["tensors"].items()
    ]


def test_every_family_has_a_model():
    tested = {model["config"]["architectures"][0] for model in MODELS.values()}

    assert {type_ for name, type_ in FAMILIES.items() if name in tested} == set(FAMILIES.values())


@pytest.mark.parametrize(
    ("name", "outtype", "source", "written"),
    [
        ("Qwen3-0.6B", None, "BF16", "BF16"),
        ("Qwen3-0.6B", "f16", "BF16", "F16"),
        ("qwen2-7b-untied-f16", None, "F16", "F16"),
        ("qwen2-7b-untied-f16", "bf16", "F16", "BF16"),
        ("qwen3-new-style", None, "F32", "F16"),
        ("qwen3-new-style", "bf16", "F32", "BF16"),
        ("qwen3-new-style", "f32", "F32", "F32"),
        ("Llama-2-7b-hf", "f32", "F16", "F32"),
    ],
)
def test_outtype_is_what_is_written(name, outtype, source, written, tmp_path):
    conversion = convert_folder(make_model(name, tmp_path), tmp_path / "out.gguf", outtype)

    header = read_header(LocalFiles(conversion.path), conversion.path.name)
    assert {tensor.type for tensor in header.tensors if len(tensor.shape) > 1} == {written}
    assert {tensor.type for tensor in header.tensors if len(tensor.shape) == 1} == {"F32"}
    assert header.metadata["general.file_type"] == {"F32": 0, "F16": 1, "BF16": 32}[written]
    assert conversion.file_type == conversion.details["dtype"] == written
    assert conversion.details["source_dtype"] == source


@pytest.mark.parametrize("source", ["BF16", "F16", "F32"])
@pytest.mark.parametrize("target", ["BF16", "F16", "F32"])
def test_encoding_equals_ggufs(source, target):
    """Every 16-bit number, and float32 ones on and beside the middle between two of them."""
    patterns = np.arange(1 << 16, dtype=np.uint32)
    if source == "F16":
        numbers = patterns.astype(np.uint16).view(np.float16).astype(np.float32)
    else:
        patterns = (
            (patterns << 16) if source == "BF16" else (patterns << 16)[:, None] + np.array([0x7FFF, 0x8000, 0x8001])
        )
        numbers = patterns.astype(np.uint32).view(np.float32).ravel()
    numbers = numbers[np.abs(numbers) < (65504 if "F16" in (source, target) else 3e38)]
    if source == "BF16":
        rows = (numbers.view(np.uint32) >> 16).astype(np.uint16)
    else:
        rows = numbers.astype(np.float16) if source == "F16" else numbers

    wanted = gguf.quants.quantize(numbers.reshape(-1, 1), gguf.GGMLQuantizationType[target])
    assert encode(rows, source, target, "x").tobytes() == wanted.tobytes()


def test_details_hold_the_digests_of_the_file(tmp_path):
    conversion = convert_folder(make_model("Qwen3-0.6B", tmp_path), tmp_path / "out.gguf")

    assert conversion.details["tokenizer_digest"] == tokenizer_digest(conversion.path)
    assert conversion.details["template_digest"] == template_digest(conversion.path)


class FarAway:
    """Files that are not on this machine; of weights only the beginning may be read."""

    def __init__(self, folder):
        self._files = LocalFiles(folder)
        self.origin, self.sizes = "far away", self._files.sizes

    def local_path(self, name):
        return None

    def read(self, name, offset=0, length=None):
        assert not name.endswith(".safetensors") or offset + (1 << 60 if length is None else length) <= 1 << 18
        return self._files.read(name, offset, length)


@pytest.mark.parametrize("name", ["Qwen3-30B-A3B", "Llama-3.1-8B-Instruct", "Phi-4-mini-instruct"])
def test_header_only_is_the_same_header_with_a_hole(name, tmp_path):
    folder = make_model(name, tmp_path)
    whole = convert_folder(folder, tmp_path / "whole.gguf")
    source = Source(text="org/model", kind="hub", repo_id=f"org/{name}")
    hollow = converter.write_header_only(FarAway(folder), source, tmp_path / "hollow.gguf", name=name)

    offset = read_header(LocalFiles(whole.path), "whole.gguf").data_offset
    assert hollow.path.read_bytes()[:offset] == whole.path.read_bytes()[:offset]
    assert hollow.path.stat().st_size == whole.path.stat().st_size
    assert hollow.path.stat().st_blocks * 512 <= offset + 8192
    assert (hollow.tensors, hollow.file_type, hollow.details) == (whole.tensors, whole.file_type, whole.details)


class Recorder:
    """A Progress that remembers."""

    def stage(self, title, total, unit):
        self.total, self.unit, self.done, self.notes = total, unit, 0, []
        return self

    def advance(self, amount, note=""):
        self.done += amount
        self.notes.append(note)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


def test_progress_counts_the_bytes_of_every_tensor(tmp_path):
    progress = Recorder()
    conversion = convert_folder(make_model("Qwen3-30B-A3B", tmp_path), tmp_path / "out.gguf", progress=progress)

    assert progress.done == progress.total > sum(tensor.size for tensor in conversion.tensors) - 1
    assert progress.unit == "bytes"
    assert list(dict.fromkeys(progress.notes)) == [tensor.name for tensor in conversion.tensors]


MEASURE = """
import resource, sys
from pathlib import Path
from pajamas.modelfiles import LocalFiles
from pajamas.source import Source
from pajamas_gguf.convert.converter import convert
folder = Path(sys.argv[1])
source = Source(text="", kind="folder", path=folder)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
convert(LocalFiles(folder), source, folder / "out.gguf", name="big", outtype="f32")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_tensors(tmp_path):
    """Two matrices of 64 MiB (128 as float32), one of them permuted, pass through less than one of them."""
    folder = make_model("Llama-3.2-1B", tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config |= {"num_hidden_layers": 1, "hidden_size": 4096, "num_attention_heads": 128, "num_key_value_heads": 1}
    (folder / "config.json").write_text(json.dumps(config | {"attention_bias": False, "mlp_bias": False}))
    shapes = {
        "model.embed_tokens.weight": (4096, 4096), "model.norm.weight": (4096,),
        **{f"model.layers.0.{name}": shape for name, shape in {
            "input_layernorm.weight": (4096,), "post_attention_layernorm.weight": (4096,),
            "self_attn.q_proj.weight": (8192, 4096), "self_attn.k_proj.weight": (64, 4096),
            "self_attn.v_proj.weight": (64, 4096), "self_attn.o_proj.weight": (4096, 8192),
            "mlp.gate_proj.weight": (96, 4096), "mlp.up_proj.weight": (96, 4096), "mlp.down_proj.weight": (4096, 96),
        }.items()},
    }  # fmt: skip
    tensors = {name: ("BF16", shape, bytes(2 * int(np.prod(shape)))) for name, shape in shapes.items()}
    write_safetensors(folder / "model.safetensors", tensors)
    child = [sys.executable, "-c", MEASURE, str(folder)]
    grown = int(subprocess.run(child, capture_output=True, text=True, check=True).stdout)
    if sys.platform == "darwin":
        grown //= 1024

    assert grown < 48 * 1024  # KiB


# --- model cards ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "card",
    ["a: [", "- a\n- b", "license: {a: b}\ntags: [1, [2], null]\nlanguage: 5", "name: 2024-01-01\nversion: 1.0",
     "base_model: 3", "base_model: [{name: 1, x: [2]}, 4]\ndatasets: {a: b}", "tags: &a [*a]"],
)  # fmt: skip
def test_strange_card_costs_no_more_than_its_keys(card, tmp_path):
    folder = make_model("Qwen3-0.6B", tmp_path, {**MODELS["Qwen3-0.6B"], "card": card})

    metadata = read_header(LocalFiles(convert_folder(folder, tmp_path / "out.gguf").path), "out.gguf").metadata
    assert metadata["general.architecture"] == "qwen3"
    assert metadata["general.name"] in ("Qwen3 0.6B", "2024-01-01")


@pytest.mark.parametrize("generation", [{"top_k": 20.0, "temperature": "hot", "top_p": True, "min_p": 1e300}, []])
def test_strange_generation_config(generation, tmp_path):
    folder = make_model("Qwen3-0.6B", tmp_path, {**MODELS["Qwen3-0.6B"], "generation": generation})

    metadata = read_header(LocalFiles(convert_folder(folder, tmp_path / "out.gguf").path), "out.gguf").metadata
    found = {key: value for key, value in metadata.items() if key.startswith("general.sampling.")}
    assert found == ({"general.sampling.top_k": 20} if generation else {})


# --- llama.cpp's own converter ----------------------------------------------------------------------------------------


def test_upstream_converter_says_what_is_missing(tmp_path, monkeypatch):
    folder = make_model("sparse-config", tmp_path)
    monkeypatch.setenv(upstream.VARIABLE, str(tmp_path))
    with pytest.raises(UsageError, match=upstream.VARIABLE):
        convert_folder(folder, tmp_path / "out.gguf", function=upstream.convert)
    monkeypatch.delenv(upstream.VARIABLE)
    if find_spec("auto_round") is not None:
        pytest.skip("auto-round is installed")
    with pytest.raises(EngineMissing, match="llama-cpp-converter"):
        convert_folder(folder, tmp_path / "out.gguf", function=upstream.convert)
    assert not (tmp_path / "out.gguf").exists()
