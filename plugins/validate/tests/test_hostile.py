"""Texts and models that nothing can be measured with: each is named, none is a crash."""

from __future__ import annotations

import numpy as np
import pytest

import pajamas
from pajamas.errors import EngineError, UsageError
from pajamas.gguf_header import read_header
from pajamas.modelfiles import LocalFiles
from pajamas_validate.scoring import right_logprobs


def measure(path, **request):
    return pajamas.run(
        "validate", quantized=path, **({"metrics": "perplexity", "alone": True, "context_length": 512} | request)
    )


@pytest.mark.parametrize(("text", "count"), [("", 0), ("a", 1), ("\0", 1)])
def test_a_text_that_is_too_short_is_refused_with_its_length(tiny_gguf, text, count):
    with pytest.raises(UsageError, match="too short") as caught:
        measure(tiny_gguf("q4_k_m"), text=text)

    assert f"It has {count:,} token" in caught.value.why


def test_the_shortest_text_that_will_do_is_measured(tiny_gguf):
    result = measure(tiny_gguf("q4_k_m"), text="one two three four five six", options={"context": 4})

    assert result.finding("perplexity").value > 1


def test_a_file_that_is_no_text_is_refused_by_name(tiny_gguf, tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff\xfe")

    with pytest.raises(UsageError, match=r"picture\.png"):
        measure(tiny_gguf("q4_k_m"), text=path)


def test_text_with_control_characters_is_measured(tiny_gguf):
    text = "".join(chr(number) for number in range(0x300)) + "\U0001f600\ufffd\u202e\ud800" * 20

    assert np.isfinite(measure(tiny_gguf("q4_k_m"), text=text, options={"context": 64}).finding("perplexity").value)


@pytest.fixture
def damaged(tiny_gguf, tmp_path):
    """The bundled model with a weight that is not a number."""
    data = bytearray(tiny_gguf("f16").read_bytes())
    header = read_header(LocalFiles(tiny_gguf("f16")), tiny_gguf("f16").name)
    tensor = next(tensor for tensor in header.tensors if tensor.name == "blk.1.ffn_down.weight")
    data[tensor.offset : tensor.offset + 2] = np.array(np.nan, np.float16).tobytes()
    path = tmp_path / "damaged.gguf"
    path.write_bytes(data)
    return path


def test_weights_that_are_no_numbers_are_named(tiny_gguf, damaged):
    alone = {"text": "word " * 200, "options": {"context": 64}}
    with pytest.raises(EngineError, match="not numbers"):
        measure(damaged, **alone)
    for pair in ((damaged, tiny_gguf("q4_k_m")), (tiny_gguf("q4_k_m"), damaged)):
        with pytest.raises(EngineError, match="not numbers"):
            measure(pair[0], original=pair[1], metrics="perplexity,kld", **alone | {"alone": False})


def test_a_vocabulary_that_is_larger_than_the_output_layer_is_named():
    block = np.zeros((2, 4), np.float32)

    assert list(right_logprobs(block, np.array([0, 3]))) == [0, 0]
    with pytest.raises(EngineError, match="no token 4"):
        right_logprobs(block, np.array([0, 4]))
