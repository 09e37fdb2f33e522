"""The converter against what llama.cpp's own converter made of the same models, and its promises about files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gguf_facts import differences, gguf_facts
from pajamas.digests import template_digest, tokenizer_digest
from pajamas.errors import EngineMissing, ModelFileError, NotEnoughDisk, UnsupportedModel, UsageError
from pajamas.gguf_header import read_header
from pajamas.modelfiles import LocalFiles
from pajamas.safetensors_header import read_file_header
from pajamas.source import Source
from pajamas_gguf.convert import converter, upstream
from pajamas_gguf.convert.families.registry import FAMILIES
from random_models import MODELS, make_model, write_safetensors

GOLDENS = json.loads(Path(__file__).with_name("converter_goldens.json").read_text(encoding="utf-8"))


def run(folder, output, outtype=None, function=converter.convert, **options):
    source = Source(text=str(folder), kind="folder", path=folder)
    return function(LocalFiles(folder), source, output, name=folder.name, outtype=outtype, **options)


@pytest.mark.parametrize("name", MODELS)
def test_equals_llama_cpp(name, tmp_path):
    conversion = run(make_model(name, tmp_path), tmp_path / "out.gguf")

    facts = gguf_facts(conversion.path, tokenizer=False)
    assert differences(facts, GOLDENS[name]) == []
    assert [(t.name, t.type, list(t.shape)) for t in conversion.tensors] == [
        (tensor, kind, shape) for tensor, (kind, shape, _) in facts["tensors"].items()
    ]


def test_every_family_has_a_model():
    tested = {model["config"]["architectures"][0] for model in MODELS.values()}

    assert {type_ for name, type_ in FAMILIES.items() if name in tested} == set(FAMILIES.values())


@pytest.mark.parametrize(
    ("name", "outtype", "written"),
    [
        ("Qwen3-0.6B", None, "BF16"),
        ("Qwen3-0.6B", "f16", "F16"),
        ("qwen2-7b-untied-f16", None, "F16"),
        ("qwen2-7b-untied-f16", "bf16", "BF16"),
        ("qwen3-new-style", None, "F16"),
        ("qwen3-new-style", "bf16", "BF16"),
        ("qwen3-new-style", "f32", "F32"),
        ("Llama-2-7b-hf", "f32", "F32"),
    ],
)
def test_outtype_is_what_is_written(name, outtype, written, tmp_path):
    conversion = run(make_model(name, tmp_path), tmp_path / "out.gguf", outtype)

    header = read_header(LocalFiles(conversion.path), conversion.path.name)
    assert {tensor.type for tensor in header.tensors if len(tensor.shape) > 1} == {written}
    assert {tensor.type for tensor in header.tensors if len(tensor.shape) == 1} == {"F32"}
    assert header.metadata["general.file_type"] == {"F32": 0, "F16": 1, "BF16": 32}[written]
    assert conversion.file_type == conversion.details["dtype"] == written


def test_details_hold_the_digests_of_the_file(tmp_path):
    conversion = run(make_model("Qwen3-0.6B", tmp_path), tmp_path / "out.gguf")

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
    whole = run(folder, tmp_path / "whole.gguf")
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
    conversion = run(make_model("Qwen3-30B-A3B", tmp_path), tmp_path / "out.gguf", progress=progress)

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


# --- what must be refused --------------------------------------------------------------------------------------------


def refused(folder, tmp_path, error, *words, **options):
    """The conversion fails with that error and those words, for both functions, and leaves nothing."""
    for function in (converter.convert, converter.write_header_only):
        with pytest.raises(error) as caught:
            run(folder, tmp_path / "out" / "out.gguf", function=function, **options)
        for word in words:
            assert word in str(caught.value)
        assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "missing", "said"),
    [
        ("Qwen3-0.6B", "model.layers.1.self_attn.q_norm.weight", "blk.1.attn_q_norm.weight"),
        ("Qwen2.5-0.5B-Instruct", "model.layers.0.self_attn.k_proj.bias", "blk.0.attn_k.bias"),
        ("phi-4", "lm_head.weight", "output.weight"),
        ("Llama-3.2-1B", "model.layers.1.mlp.up_proj.bias", "blk.1.ffn_up.bias"),
        ("Qwen3-30B-A3B", "model.layers.1.mlp.experts.2.up_proj.weight", "model.layers.1.mlp.experts"),
        ("Qwen3-30B-A3B", "model.layers.0.mlp.gate.weight", "blk.0.ffn_gate_inp.weight"),
    ],
)
def test_missing_tensor(name, missing, said, tmp_path):
    folder = make_model(name, tmp_path, {**MODELS[name], "drop": (missing,)})

    refused(folder, tmp_path, ModelFileError, said)


@pytest.mark.parametrize(
    "extra", ["model.layers.0.self_attn.surprise.weight", "model.layers.7.mlp.up_proj.weight", "model.visual.a.weight"]
)
def test_foreign_tensor_is_not_dropped(extra, tmp_path):
    folder = make_model("Qwen3-0.6B", tmp_path, {**MODELS["Qwen3-0.6B"], "extra": {extra: (96, 64)}})

    refused(folder, tmp_path, UnsupportedModel, extra)


@pytest.mark.parametrize(
    ("name", "config", "error", "said"),
    [
        ("Qwen3-0.6B", {"intermediate_size": 95}, ModelFileError, "ffn_down.weight"),
        ("Qwen3-0.6B", {"vocab_size": 4097}, ModelFileError, "token_embd.weight"),
        ("Qwen3-0.6B", {"num_hidden_layers": 3}, ModelFileError, "blk.2"),
        ("Qwen3-0.6B", {"num_hidden_layers": 10**9}, ModelFileError, "num_hidden_layers"),
        ("Qwen3-0.6B", {"hidden_size": "64"}, ModelFileError, "hidden_size"),
        ("Qwen3-0.6B", {"num_attention_heads": 3}, ModelFileError, "heads"),
        ("Qwen3-0.6B", {"rope_theta": 1e39}, ModelFileError, "rope_theta"),
        ("Qwen3-0.6B", {"rope_scaling": "yarn"}, ModelFileError, "rope_scaling"),
        ("Qwen3-0.6B", {"rope_scaling": {"rope_type": "yarn"}}, ModelFileError, "factor"),
        ("Qwen3-0.6B", {"rope_scaling": {"rope_type": "mystery"}}, UnsupportedModel, "mystery"),
        ("Qwen3-0.6B", {"architectures": ["MysteryForCausalLM"]}, UnsupportedModel, "--converter llama.cpp"),
        ("Qwen3-0.6B", {"quantization_config": {"quant_method": "fp8"}}, UnsupportedModel, "quantized already"),
        ("Qwen3-30B-A3B", {"num_experts": 10**9}, ModelFileError, "num_experts"),
        ("Qwen3-30B-A3B", {"num_experts": 3}, ModelFileError, "ffn_gate_inp"),
        ("qwen3-moe-fused", {"num_local_experts": 4}, ModelFileError, "ffn_down_exps"),
        ("Llama-3.2-1B", {"rope_parameters": {"rope_type": "llama3", "factor": 0}}, ModelFileError, "llama3"),
        ("Phi-3.5-mini-instruct", {"partial_rotary_factor": 0.5}, ModelFileError, "long_factor"),
        ("phi-4", {"rope_scaling": {"type": "linear", "factor": 2}}, UnsupportedModel, "linear"),
    ],
)
def test_config_that_does_not_fit(name, config, error, said, tmp_path):
    # The weights keep the shapes of the unchanged config.
    folder = make_model(name, tmp_path)
    (folder / "config.json").write_text(json.dumps({**MODELS[name]["config"], **config}))

    refused(folder, tmp_path, error, said)


@pytest.mark.parametrize(
    ("dtype", "outtype", "value", "said"),
    [
        ("BF16", None, 0x7FC0, "NaN"),
        ("BF16", "f32", 0xFF80, "infinite"),
        ("F16", None, 0x7C00, "infinite"),
        ("BF16", "f16", 0x7F00, "--outtype"),  # 1.7e38
    ],
)
def test_numbers_that_cannot_be_written(dtype, outtype, value, said, tmp_path):
    folder = make_model("Qwen3-0.6B", tmp_path, {**MODELS["Qwen3-0.6B"], "drop": ("model.embed_tokens.weight",)})
    numbers = np.zeros(4096 * 64, np.uint16)
    numbers[-1] = value
    header = {"model.embed_tokens.weight": (dtype, (4096, 64), numbers.tobytes())}
    write_safetensors(folder / "extra.safetensors", header)
    weight_map = {"model.embed_tokens.weight": "extra.safetensors"}
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    for entry in read_file_header(LocalFiles(folder), "model-1.safetensors"):
        weight_map[entry.name] = "model-1.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))

    with pytest.raises(ModelFileError, match=r"model\.embed_tokens\.weight") as caught:
        run(folder, tmp_path / "out" / "out.gguf", outtype)
    assert said in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_integer_tensor_is_refused(tmp_path):
    folder = make_model("sparse-config", tmp_path)
    write_safetensors(folder / "model.safetensors", {"model.norm.weight": ("I32", (64,), bytes(256))})

    refused(folder, tmp_path, UnsupportedModel, "model.norm.weight", "I32")


def test_no_weights(tmp_path):
    folder = make_model("sparse-config", tmp_path)
    (folder / "model.safetensors").unlink()

    refused(folder, tmp_path, ModelFileError, "safetensors")


def test_unknown_outtype(tmp_path):
    refused(make_model("sparse-config", tmp_path), tmp_path, UsageError, "q8_0", outtype="q8_0")


def test_shard_that_shrinks_while_it_is_read(tmp_path):
    folder = make_model("sparse-config", tmp_path)
    files = LocalFiles(folder)
    os.truncate(folder / "model.safetensors", files.sizes()["model.safetensors"] - 100)
    source = Source(text="", kind="folder", path=folder)

    with pytest.raises(ModelFileError, match="truncated"):
        converter.convert(files, source, tmp_path / "out" / "out.gguf", name="x")
    assert list((tmp_path / "out").iterdir()) == []


def test_full_disk_is_noticed_first(tmp_path, monkeypatch):
    folder = make_model("sparse-config", tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))

    with pytest.raises(NotEnoughDisk, match="needed"):
        run(folder, tmp_path / "out" / "out.gguf")
    assert list((tmp_path / "out").iterdir()) == []


def test_existing_file_survives_a_failure_and_is_replaced_by_success(tmp_path):
    folder = make_model("sparse-config", tmp_path)
    output = tmp_path / "out.gguf"
    output.write_bytes(b"old")
    with pytest.raises(UsageError):
        run(folder, output, "q8_0")
    assert output.read_bytes() == b"old"

    (tmp_path / ".out.gguf.part").write_bytes(bytes(10_000_000))  # what a killed run left
    run(folder, output)
    assert read_header(LocalFiles(output), "out.gguf").tensors
    assert not (tmp_path / ".out.gguf.part").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no advisory locks there")
def test_two_runs_do_not_write_one_file(tmp_path):
    import fcntl

    folder = make_model("sparse-config", tmp_path)
    with (tmp_path / ".out.gguf.part").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another process"):
            run(folder, tmp_path / "out.gguf")
        assert (tmp_path / ".out.gguf.part").exists()


# --- model cards ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "card",
    ["a: [", "- a\n- b", "license: {a: b}\ntags: [1, [2], null]\nlanguage: 5", "name: 2024-01-01\nversion: 1.0",
     "base_model: 3", "base_model: [{name: 1, x: [2]}, 4]\ndatasets: {a: b}", "tags: &a [*a]"],
)  # fmt: skip
def test_strange_card_costs_no_more_than_its_keys(card, tmp_path):
    folder = make_model("Qwen3-0.6B", tmp_path, {**MODELS["Qwen3-0.6B"], "card": card})

    metadata = read_header(LocalFiles(run(folder, tmp_path / "out.gguf").path), "out.gguf").metadata
    assert metadata["general.architecture"] == "qwen3"
    assert metadata["general.name"] in ("Qwen3 0.6B", "2024-01-01")


@pytest.mark.parametrize("generation", [{"top_k": 20.0, "temperature": "hot", "top_p": True, "min_p": 1e300}, []])
def test_strange_generation_config(generation, tmp_path):
    folder = make_model("Qwen3-0.6B", tmp_path, {**MODELS["Qwen3-0.6B"], "generation": generation})

    metadata = read_header(LocalFiles(run(folder, tmp_path / "out.gguf").path), "out.gguf").metadata
    found = {key: value for key, value in metadata.items() if key.startswith("general.sampling.")}
    assert found == ({"general.sampling.top_k": 20} if generation else {})


# --- llama.cpp's own converter ----------------------------------------------------------------------------------------


def test_upstream_converter_says_what_is_missing(tmp_path, monkeypatch):
    folder = make_model("sparse-config", tmp_path)
    monkeypatch.setenv(upstream.VARIABLE, str(tmp_path))
    with pytest.raises(UsageError, match=upstream.VARIABLE):
        run(folder, tmp_path / "out.gguf", function=upstream.convert)
    monkeypatch.delenv(upstream.VARIABLE)
    if find_spec("auto_round") is not None:
        pytest.skip("auto-round is installed")
    with pytest.raises(EngineMissing, match="llama-cpp-converter"):
        run(folder, tmp_path / "out.gguf", function=upstream.convert)
    assert not (tmp_path / "out.gguf").exists()
