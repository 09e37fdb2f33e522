"""What every tensor becomes, and that mlx-lm's own loader reads it."""

from __future__ import annotations

import math

import mlx.core as mx
import mlx_lm.utils
import pytest
from mlx_lm import generate, load
from mlx_lm.utils import load_model

from gpt_oss_model import make_gpt_oss
from mlx_jobs import TINY, config_of, kinds_of, made, planned, stored, types_of, written
from pajamas.errors import UnsupportedModel
from pajamas_mlx.quantize import layout
from random_model_configs import MODELS
from random_models import make_model

EMBEDDING = "model.embed_tokens.weight"
QUERY = "model.layers.0.self_attn.q_proj.weight"
AFFINE = [(bits, 64 if bits != 8 else 128) for bits in (2, 3, 5, 6, 8)]


@pytest.mark.parametrize(("bits", "group"), AFFINE)
def test_every_width_of_bits_has_its_group_size(tmp_path, bits, group):
    result, folder = made(TINY, tmp_path, f"{bits}bit")

    assert kinds_of(result) == {f"{bits}bit g{group}": 29, "bfloat16": 17}
    assert stored(folder)[QUERY] == ("U32", (256, 256 * bits // 32))
    assert stored(folder)[QUERY.replace("weight", "scales")] == ("BF16", (256, 256 // group))
    assert config_of(folder)["quantization"] == {"bits": bits, "group_size": group, "mode": "affine"}
    assert config_of(folder)["quantization_config"] == config_of(folder)["quantization"]
    load_model(folder)


@pytest.mark.parametrize("group", [32, 64, 128])
def test_the_group_size_is_the_one_that_was_asked_for(tmp_path, group):
    result, folder = made(TINY, tmp_path, "4bit", aggressive=True, group_size=group)

    assert kinds_of(result) == {f"4bit g{group}": 29, "bfloat16": 17}
    assert stored(folder)[QUERY.replace("weight", "scales")] == ("BF16", (256, 256 // group))


@pytest.mark.parametrize(("scheme", "group"), [("mxfp4", 32), ("mxfp8", 32), ("nvfp4", 16)])
def test_the_other_modes(tmp_path, scheme, group):
    result, folder = made(TINY, tmp_path, scheme)

    assert kinds_of(result) == {scheme: 29, "bfloat16": 17}
    assert stored(folder)[QUERY.replace("weight", "scales")] == ("U8", (256, 256 // group))
    assert config_of(folder)["quantization"]["mode"] == scheme
    load_model(folder)


@pytest.mark.parametrize(("scheme", "dtype"), [("bf16", "BF16"), ("f16", "F16")])
def test_sixteen_bits_are_not_quantized(tmp_path, scheme, dtype):
    _, folder = made(TINY, tmp_path, scheme)

    assert {kind for kind, _ in stored(folder).values()} == {dtype}
    assert "quantization" not in config_of(folder)
    assert config_of(folder)["torch_dtype"] == {"BF16": "bfloat16", "F16": "float16"}[dtype]
    load_model(folder)


def test_bfloat16_is_the_source_bit_for_bit(tmp_path):
    _, folder = made(TINY, tmp_path, "bf16")

    before, after = mx.load(str(TINY / "model.safetensors")), mx.load(str(folder / "model.safetensors"))
    assert before.keys() == after.keys()
    assert all(mx.array_equal(before[name], after[name]) for name in before)


def test_mixed_precision_is_six_bits_in_a_tied_embedding(tmp_path):
    result, _ = made(TINY, tmp_path, "4bit", mixed_precision=True)

    assert types_of(result)[EMBEDDING] == "6bit g64"
    assert kinds_of(result) == {"4bit g64": 28, "6bit g64": 1, "bfloat16": 17}
    assert result.raised == {}


def test_mixed_precision_is_in_both_where_the_embedding_is_not_tied(tmp_path):
    model = make_model("Mistral-7B-Instruct-v0.3", tmp_path)

    result, folder = made(model, tmp_path / "a", "4bit", mixed_precision=True, embedding_bits=8, group_size=32)

    assert [name for name, kind in types_of(result).items() if kind == "8bit g32"] == [EMBEDDING, "lm_head.weight"]
    assert kinds_of(result)["4bit g32"] == 14
    load_model(folder)


def test_a_mixed_recipe_is_mlx_lms_own(tmp_path):
    result, folder = made(TINY, tmp_path, "mixed_3_6")

    kinds = types_of(result)
    assert kinds[EMBEDDING] == "3bit g64"
    assert {kinds[f"model.layers.{number}.mlp.down_proj.weight"] for number in range(4)} == {"3bit g64", "6bit g64"}
    load_model(folder)


def test_a_width_that_the_group_does_not_divide_gets_a_smaller_one_and_says_so(tmp_path):
    model = make_model("Mistral-7B-Instruct-v0.3", tmp_path)

    result, folder = made(model, tmp_path / "a", "6bit")

    down = next(row for row in result.tensors if row[0] == "model.layers.0.mlp.down_proj.weight")
    assert (down[1], down[2], down[4]) == ([64, 96], "6bit g32", "6bit g64")
    load_model(folder)


def test_a_width_that_no_group_divides_stays_as_it_is(tmp_path):
    model = make_model("Qwen3-30B-A3B", tmp_path)

    result, folder = made(model, tmp_path / "a", "6bit")

    down = next(row for row in result.tensors if row[0].endswith("layers.0.mlp.switch_mlp.down_proj.weight"))
    assert (down[1], down[2], down[4]) == ([4, 64, 48], "bfloat16", "6bit g64")
    assert types_of(result)["model.layers.0.mlp.gate.weight"] == "8bit g64"  # mlx-lm's model wants its routers so
    load_model(folder)


@pytest.mark.parametrize(
    "name", ["Qwen2.5-0.5B-Instruct", "Llama-3.2-1B", "phi-4", "Phi-3.5-mini-instruct", "Qwen3-0.6B"]
)
def test_a_family_is_read_and_computes(tmp_path, name):
    model = make_model(name, tmp_path)

    result, folder = made(model, tmp_path / "a", "4bit", mixed_precision=True)

    answer = load_model(folder)[0](mx.array([[1, 2, 3]]))
    assert not mx.isnan(answer).any()
    assert result.parameters == sum(math.prod(shape) for _, shape, *_ in result.tensors)


def test_gpt_oss_keeps_its_experts(tmp_path):
    model = make_gpt_oss(tmp_path / "gpt-oss")

    result, folder = made(model, tmp_path, "4bit", mixed_precision=True)

    assert kinds_of(result) == {"mxfp4": 6, "4bit g64": 8, "8bit g64": 2, "6bit g64": 2, "bfloat16": 23}
    assert not mx.isnan(load_model(folder)[0](mx.array([[1, 2, 3]]))).any()
    experts = next(row for row in result.tensors if row[0].endswith("layers.0.mlp.experts.down_proj.weight"))
    assert experts[1] == [4, 64, 96]


def test_a_new_style_config_gets_the_keys_that_mlx_lm_reads(tmp_path):
    """Without them mlx-lm's Llama takes a rope theta of 10000, and no scaling, silently."""
    model = make_model("Llama-3.2-1B", tmp_path)

    _, folder = made(model, tmp_path / "a", "bf16")

    args = load_model(folder)[0].args
    assert args.rope_theta == 500000.0
    assert args.rope_scaling["rope_type"] == "llama3"
    assert args.rope_scaling["factor"] == 32.0


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_is_not_quantized_is_of_sixteen_bits(tmp_path, dtype):
    model = make_model("a", tmp_path, {**MODELS["Qwen3-0.6B"], "dtype": dtype, "config": {
        **MODELS["Qwen3-0.6B"]["config"], "torch_dtype": dtype}})  # fmt: skip

    result, folder = made(model, tmp_path / "b", "6bit")

    chosen = {"float32": "bfloat16", "float16": "float16"}[dtype]
    assert types_of(result)["model.norm.weight"] == config_of(folder)["torch_dtype"] == chosen
    assert bool(result.notes) == (dtype == "float32")


def test_mlx_lm_generates_what_the_original_does(tmp_path):
    _, folder = made(TINY, tmp_path, "8bit")
    answers = []
    for path in (TINY, folder):
        model, tokenizer = load(str(path))
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": "What is 2+3?"}], add_generation_prompt=True
        )
        answers.append(generate(model, tokenizer, prompt, max_tokens=8))

    assert answers[0] == answers[1] != ""
    assert (folder / "tokenizer.json").read_bytes() == (TINY / "tokenizer.json").read_bytes()


@pytest.mark.parametrize("scheme", ["3bit", "8bit", "mxfp4", "nvfp4", "bf16", "mixed_4_6"])
@pytest.mark.parametrize("name", ["Qwen3-30B-A3B", "Llama-2-7b-hf"])
def test_a_dry_run_knows_the_size_to_the_byte(tmp_path, name, scheme):
    model = make_model(name, tmp_path)

    plan = planned(model, tmp_path / "a", scheme)
    result, folder = made(model, tmp_path / "b", scheme)

    assert plan.size == result.size == written(folder)
    assert plan.tensors == result.tensors
    assert plan.bound is None


def test_files_are_divided_as_mlx_lm_divides_them(monkeypatch):
    """Its largest file is as large as ours."""
    arrays = {f"a{number}": mx.zeros((number % 5 + 1, 1 << 28), dtype=mx.bfloat16) for number in range(30)}

    theirs = mlx_lm.utils.make_shards(arrays)

    assert list(layout.split({key: array.nbytes for key, array in arrays.items()}).values()) == [
        list(part) for part in theirs
    ]
    assert len(theirs) > 5


def test_shards_are_mlx_lms(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "LARGEST", 0)  # each tensor one of its own
    model = make_model("Llama-2-7b-hf", tmp_path)

    result, folder = made(model, tmp_path / "a", "8bit")

    names = sorted(path.name for path in folder.glob("*.safetensors"))
    assert len(names) == len(stored(folder))
    assert names[0] == f"model-00001-of-{len(names):05d}.safetensors"
    assert result.size == written(folder)
    load_model(folder)


@pytest.mark.parametrize("kind", ["model_that_is_not_there", "gpt_oss"])
def test_a_model_that_mlx_lm_has_not_is_refused_by_name(tmp_path, kind):
    config = {**MODELS["Qwen3-0.6B"]["config"], "model_type": kind}
    model = make_model("a", tmp_path, {**MODELS["Qwen3-0.6B"]})
    (model / "config.json").write_text(__import__("json").dumps(config), encoding="utf-8")

    with pytest.raises(UnsupportedModel, match=kind):
        planned(model, tmp_path / "b", "8bit")
