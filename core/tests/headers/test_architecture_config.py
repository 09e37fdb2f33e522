"""Hugging Face configs, old, new, unknown and hostile: described as they say, or refused."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from known_models import LLAMA_31_8B, SMALL, detected, hf_tensors
from pajamas.architecture import detect_architecture
from pajamas.architecture_hf import detect_hf
from pajamas.errors import ModelFileError
from pajamas.families import FAMILIES
from pajamas.modelfiles import LocalFiles
from pajamas.types import Architecture


def test_tied_output_layer_that_is_stored_counts_once(tmp_path, write_model):
    tensors = hf_tensors(SMALL, qk_norm=True)
    plain = detected(write_model(tmp_path / "a", SMALL, tensors))
    stored = detected(write_model(tmp_path / "b", SMALL, {**tensors, "lm_head.weight": ("BF16", (100, 64))}))

    assert plain.parameters == stored.parameters
    assert stored.non_embedding_parameters == stored.parameters - 6400


def test_buffers_and_scales_do_not_count(tmp_path, write_model):
    tensors = hf_tensors(SMALL, qk_norm=True)
    name = "model.layers.0.self_attn.q_proj.weight"
    more = {
        "model.layers.0.self_attn.rotary_emb.inv_freq": ("F32", (8,)),
        name: ("F8_E4M3", (64, 64)),
        f"{name}_scale_inv": ("F32", (1, 1)),
    }

    assert detected(write_model(tmp_path, SMALL, {**tensors, **more})).parameters == _count(tensors)


def _count(tensors):
    return sum(shape[0] * (shape[1] if len(shape) > 1 else 1) for _, shape in tensors.values())


@pytest.mark.parametrize(
    ("table", "dtype"),
    [
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "gptq"),
        ({"quantization": {"group_size": 64, "bits": 4}}, "4bit uniform"),
    ],
)
def test_packed_weights_are_counted_by_the_formula(tmp_path, write_model, table, dtype):
    tensors = hf_tensors(SMALL, qk_norm=True)
    total = _count(tensors)
    for name in [name for name in tensors if name.endswith("_proj.weight")]:
        rows, columns = tensors.pop(name)[1]
        tensors[name.replace("weight", "qweight")] = ("I32", (columns // 8, rows))
        tensors[name.replace("weight", "scales")] = ("F16", (1, rows))
    found = detected(write_model(tmp_path, {**SMALL, **table}, tensors))

    assert found.parameters == total
    assert found.dtype == dtype


def test_unknown_family_still_says_what_its_config_says(tmp_path, write_model):
    config = {**SMALL, "model_type": "newmodel", "intermediate_size": [96, 96], "torch_dtype": "float16"}
    del config["tie_word_embeddings"]

    found = detected(write_model(tmp_path, config, hf_tensors(SMALL)))

    assert (found.family, found.convertible, found.num_layers, found.intermediate_size) == ("newmodel", False, 2, None)
    assert (found.attention_type, found.tied_embeddings) == ("gqa", True)
    assert found.parameters == _count(hf_tensors(SMALL))


def test_multi_head_latent_attention(tmp_path):
    config = {"model_type": "deepseek_v3", "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64}
    (tmp_path / "config.json").write_text(json.dumps(config))

    found = detected(tmp_path)

    assert (found.attention_type, found.head_dim) == ("mla", 192)


class Nothing:
    origin = "nothing"

    def sizes(self):
        return {}


def _describe(**values) -> Architecture:
    found = detect_hf(Nothing(), {**SMALL, **values})
    assert found is not None
    return found


YARN = {"factor": 4.0, "original_max_position_embeddings": 128}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"rope_scaling": {"type": "yarn", **YARN}}, ("yarn", 128, 512)),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, ("yarn", 512, 1024)),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6, **YARN}}, ("yarn", 128, 512)),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}, (None, None, None)),
        ({"rope_parameters": {"full_attention": {"rope_type": "llama3", **YARN}}}, ("llama3", 128, 512)),
        ({"rope_scaling": {"type": "linear", "factor": 4.0}}, ("linear", None, None)),
        (
            {"model_type": "phi3", "rope_scaling": {"type": "su"}, "original_max_position_embeddings": 64},
            ("longrope", 64, 512),
        ),
    ],
)
def test_rope_scaling_of_old_and_new_configs(values, expected):
    found = _describe(**values)

    assert (found.rope_scaling, found.native_context_length, found.extended_context_length) == expected


@pytest.mark.parametrize(
    ("values", "window"),
    [
        ({}, None),
        ({"sliding_window": 128, "use_sliding_window": True}, 128),
        ({"sliding_window": 128, "use_sliding_window": False}, None),
        ({"model_type": "mistral"}, 4096),
        ({"model_type": "mistral", "sliding_window": None}, None),
        ({"model_type": "llama", "sliding_window": 64}, 64),
    ],
)
def test_sliding_window(values, window):
    assert _describe(**values).sliding_window == window


@pytest.mark.parametrize(
    ("values", "kind"),
    [({}, "gqa"), ({"num_key_value_heads": 1}, "mqa"), ({"num_key_value_heads": 4}, "mha")],
)
def test_attention_type(values, kind):
    assert _describe(**values).attention_type == kind


@pytest.mark.parametrize(("key", "value"), [("dtype", "bfloat16"), ("torch_dtype", "torch.bfloat16")])
def test_dtype_of_old_and_new_configs(key, value):
    assert _describe(**{key: value}).dtype == "bfloat16"


@pytest.mark.parametrize(
    "values",
    [
        {"num_hidden_layers": "36"},
        {"num_hidden_layers": -1},
        {"num_hidden_layers": 0},
        {"num_hidden_layers": 10**9},
        {"hidden_size": 64.5},
        {"hidden_size": True},
        {"hidden_size": 10**30},
        {"vocab_size": {"a": 1}},
        {"vocab_size": [100]},
        {"num_key_value_heads": 3},
        {"tie_word_embeddings": "yes"},
        {"rope_scaling": 4},
        {"rope_scaling": {"type": 4}},
        {"torch_dtype": "\x1b[31m"},
        {"model_type": "qwen3_moe", "num_experts": 4, "num_experts_per_tok": 5},
    ],
)
def test_value_that_makes_no_sense_in_a_known_family(values):
    with pytest.raises(ModelFileError, match="makes no sense"):
        _describe(**values)


def test_foreign_files_are_none(tmp_path):
    assert detect_architecture(LocalFiles(tmp_path)) is None
    (tmp_path / "config.json").write_text('{"some": "program"}')
    assert detect_architecture(LocalFiles(tmp_path)) is None


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"])
def test_damaged_config(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)

    with pytest.raises(ModelFileError):
        detect_architecture(LocalFiles(tmp_path))


def test_only_headers_are_read(tmp_path, write_model):
    write_model(tmp_path, LLAMA_31_8B, hf_tensors(LLAMA_31_8B), shards=4)
    local = LocalFiles(tmp_path)

    class Ranges:
        origin = "far away"
        traffic = 0

        def sizes(self):
            return local.sizes()

        def read(self, name, offset=0, length=None):
            data = local.read(name, offset, length)
            self.traffic += len(data)
            return data

        def local_path(self, name):
            return None

    files = Ranges()

    assert detect_architecture(files).parameters == 8_030_261_248
    assert files.traffic < 4 * 300_000


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from([0, 1, -1, 2**70]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = sorted({*SMALL, "dtype", "torch_dtype", "rope_scaling", "rope_parameters", "text_config", "quantization_config",
               "num_experts", "num_experts_per_tok", "moe_intermediate_size", "mlp_only_layers", "decoder_sparse_step",
               "sliding_window", "use_sliding_window", "attention_bias", "kv_lora_rank", "factor", "type",
               "original_max_position_embeddings", "full_attention"})  # fmt: skip
TABLES = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([*FAMILIES, "newmodel"]),
    st.dictionaries(st.sampled_from(KEYS), VALUES | TABLES, max_size=6),
    st.booleans(),
)
def test_any_config_is_described_or_refused(model_type, values, override):
    config = {**SMALL, "model_type": model_type, **values}
    if override:
        config["model_type"] = values.get("model_type", model_type)
    try:
        found = detect_hf(Nothing(), config)
    except ModelFileError:
        return
    assert found is None or isinstance(found, Architecture)
    if found is not None:
        for number in (found.num_layers, found.hidden_size, found.head_dim, found.parameters, found.context_length):
            assert number is None or (type(number) is int and number > 0)
        assert found.model_type.isprintable()
