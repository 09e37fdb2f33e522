import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pajamas.architecture import detect_architecture
from pajamas.architecture_hf import detect_hf
from pajamas.errors import ModelFileError
from pajamas.families import FAMILIES
from pajamas.modelfiles import LocalFiles
from pajamas.types import Architecture

LLAMA_31_8B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "rope_scaling": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    },
}
MISTRAL_7B_03 = {
    "model_type": "mistral",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 32768,
    "max_position_embeddings": 32768,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}


def _tensors(config, *, qk_norm=False, fused=False, experts=0):
    """Names and shapes as the makers' repositories have them."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    width = config.get("head_dim") or hidden // heads
    q, kv, inner = heads * width, config["num_key_value_heads"] * width, config["intermediate_size"]
    shapes = {"model.embed_tokens.weight": (config["vocab_size"], hidden), "model.norm.weight": (hidden,)}
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (config["vocab_size"], hidden)
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        shapes |= {f"{at}input_layernorm.weight": (hidden,), f"{at}post_attention_layernorm.weight": (hidden,)}
        shapes[f"{at}self_attn.o_proj.weight"] = (hidden, q)
        if fused:
            shapes[f"{at}self_attn.qkv_proj.weight"] = (q + 2 * kv, hidden)
            shapes |= {
                f"{at}mlp.gate_up_proj.weight": (2 * inner, hidden),
                f"{at}mlp.down_proj.weight": (hidden, inner),
            }
            continue
        shapes |= {f"{at}self_attn.{name}_proj.weight": (q if name == "q" else kv, hidden) for name in "qkv"}
        if qk_norm:
            shapes |= {f"{at}self_attn.{name}_norm.weight": (width,) for name in "qk"}
        if experts:
            shapes[f"{at}mlp.gate.weight"] = (experts, hidden)
            inner = config["moe_intermediate_size"]
        for expert in range(experts or 1):
            mlp = f"{at}mlp.experts.{expert}." if experts else f"{at}mlp."
            shapes |= {f"{mlp}gate_proj.weight": (inner, hidden), f"{mlp}up_proj.weight": (inner, hidden)}
            shapes[f"{mlp}down_proj.weight"] = (hidden, inner)
    return {name: ("BF16", shape) for name, shape in shapes.items()}


def _real(shared, name):
    return json.loads((shared / "configs" / name).read_text())


def _detect(folder) -> Architecture:
    found = detect_architecture(LocalFiles(folder))
    assert found is not None
    return found


def test_qwen3_8b(tmp_path, shared, write_model):
    config = _real(shared, "qwen3-8B.config.json")

    found = _detect(write_model(tmp_path, config, _tensors(config, qk_norm=True), shards=5))

    assert found == Architecture(
        model_type="qwen3",
        family="Qwen3",
        num_layers=36,
        hidden_size=4096,
        intermediate_size=12288,
        num_heads=32,
        num_kv_heads=8,
        head_dim=128,
        attention_type="gqa",
        vocab_size=151936,
        tied_embeddings=False,
        context_length=40960,
        native_context_length=32768,
        extended_context_length=131072,
        context_source="model card",
        parameters=8_190_735_360,
        non_embedding_parameters=6_946_075_648,
        active_parameters=8_190_735_360,
        dtype="bfloat16",
        convertible=True,
    )


def test_qwen3_30b_a3b(tmp_path, shared, write_model):
    config = _real(shared, "qwen3-30B-A3B.config.json")

    found = _detect(write_model(tmp_path, config, _tensors(config, qk_norm=True, experts=128), shards=16))

    assert (found.num_experts, found.num_active_experts, found.expert_intermediate_size) == (128, 8, 768)
    assert found.parameters == 30_532_122_624
    assert found.active_parameters == 3_353_032_704
    assert found.non_embedding_parameters == 30_532_122_624 - 2 * 151936 * 2048
    assert (found.native_context_length, found.extended_context_length) == (32768, 131072)
    assert found.convertible


def _gpt_oss_tensors(config, mxfp4):
    hidden, inner, experts, width = 2880, 2880, 32, 64
    shapes = {
        "model.embed_tokens.weight": ("BF16", (201088, hidden)),
        "lm_head.weight": ("BF16", (201088, hidden)),
        "model.norm.weight": ("BF16", (hidden,)),
    }
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        plain = {
            f"{at}input_layernorm.weight": (hidden,),
            f"{at}post_attention_layernorm.weight": (hidden,),
            f"{at}self_attn.sinks": (64,),
            f"{at}mlp.router.weight": (experts, hidden),
            f"{at}mlp.router.bias": (experts,),
            f"{at}mlp.experts.gate_up_proj_bias": (experts, 2 * inner),
            f"{at}mlp.experts.down_proj_bias": (experts, hidden),
            f"{at}self_attn.o_proj.weight": (hidden, 64 * width),
            f"{at}self_attn.o_proj.bias": (hidden,),
        }
        for name, heads in (("q", 64), ("k", 8), ("v", 8)):
            plain[f"{at}self_attn.{name}_proj.weight"] = (heads * width, hidden)
            plain[f"{at}self_attn.{name}_proj.bias"] = (heads * width,)
        shapes |= {name: ("BF16", shape) for name, shape in plain.items()}
        for name, rows in (("gate_up_proj", 2 * inner), ("down_proj", hidden)):
            expert = f"{at}mlp.experts.{name}"
            if mxfp4:
                shapes[f"{expert}_blocks"] = ("U8", (experts, rows, 90, 16))
                shapes[f"{expert}_scales"] = ("U8", (experts, rows, 90))
            else:
                shapes[expert] = ("BF16", (experts, 2880, rows))
    return shapes


@pytest.mark.parametrize(("mxfp4", "dtype"), [(True, "mxfp4"), (False, "bfloat16")])
def test_gpt_oss_20b(tmp_path, shared, write_model, mxfp4, dtype):
    config = _real(shared, "gpt-oss-20b.NO-quantization_config.config.json")

    found = _detect(write_model(tmp_path, config, _gpt_oss_tensors(config, mxfp4), shards=3))

    assert found.parameters == 20_914_757_184
    assert found.active_parameters == 4_187_440_704
    assert found.dtype == dtype
    assert (found.rope_scaling, found.native_context_length, found.extended_context_length) == ("yarn", 4096, 131072)
    assert (found.sliding_window, found.head_dim, found.convertible) == (128, 64, False)


def test_phi_4(tmp_path, shared, write_model):
    config = _real(shared, "phi-4.config.json")

    found = _detect(write_model(tmp_path, config, _tensors(config, fused=True), shards=6))

    assert found.parameters == 14_659_507_200
    assert (found.family, found.context_length, found.native_context_length) == ("Phi-3/Phi-4", 16384, 16384)
    assert found.extended_context_length is None
    assert found.convertible


def test_llama_31_8b(tmp_path, write_model):
    found = _detect(write_model(tmp_path, LLAMA_31_8B, _tensors(LLAMA_31_8B), shards=4))

    assert found.parameters == 8_030_261_248
    assert (found.rope_scaling, found.native_context_length, found.extended_context_length) == ("llama3", 8192, 131072)
    assert (found.context_source, found.head_dim, found.attention_type) == ("config", 128, "gqa")


def test_mistral_7b(tmp_path, write_model):
    found = _detect(write_model(tmp_path, MISTRAL_7B_03, _tensors(MISTRAL_7B_03)))

    assert found.parameters == 7_248_023_552
    assert (found.family, found.sliding_window, found.context_source) == ("Mistral", None, "not stated")


@pytest.mark.parametrize(
    "name",
    ["qwen3-8B", "qwen3-30B-A3B", "gpt-oss-20b.NO-quantization_config", "phi-4", "gemma-3-1b-it"],
)
def test_config_alone_gives_the_same_counts_as_the_tensors(tmp_path, shared, name):
    config = _real(shared, f"{name}.config.json")
    (tmp_path / "config.json").write_text(json.dumps(config))

    assert (
        _detect(tmp_path).parameters
        == {
            "qwen3": 8_190_735_360,
            "qwen3_moe": 30_532_122_624,
            "gpt_oss": 20_914_757_184,
            "phi3": 14_659_507_200,
            "gemma3_text": 999_885_952,
        }[config["model_type"]]
    )


def test_gemma_ties_its_embeddings_where_the_config_does_not_say(shared, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(_real(shared, "gemma-3-1b-it.config.json")))

    found = _detect(tmp_path)

    assert (found.tied_embeddings, found.attention_type, found.sliding_window) == (True, "mqa", 512)


SMALL = {
    "model_type": "qwen3",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 100,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
}


def test_tied_output_layer_that_is_stored_counts_once(tmp_path, write_model):
    tensors = _tensors(SMALL, qk_norm=True)
    plain = _detect(write_model(tmp_path / "a", SMALL, tensors))
    stored = _detect(write_model(tmp_path / "b", SMALL, {**tensors, "lm_head.weight": ("BF16", (100, 64))}))

    assert plain.parameters == stored.parameters
    assert stored.non_embedding_parameters == stored.parameters - 6400


def test_buffers_and_scales_do_not_count(tmp_path, write_model):
    tensors = _tensors(SMALL, qk_norm=True)
    name = "model.layers.0.self_attn.q_proj.weight"
    more = {
        "model.layers.0.self_attn.rotary_emb.inv_freq": ("F32", (8,)),
        name: ("F8_E4M3", (64, 64)),
        f"{name}_scale_inv": ("F32", (1, 1)),
    }

    assert _detect(write_model(tmp_path, SMALL, {**tensors, **more})).parameters == _count(tensors)


def _count(tensors):
    return sum(shape[0] * (shape[1] if len(shape) > 1 else 1) for _, shape in tensors.values())


@pytest.mark.parametrize(
    ("table", "dtype"),
    [
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "gptq"),
        ({"quantization": {"group_size": 64, "bits": 4}}, "4bit"),
    ],
)
def test_packed_weights_are_counted_by_the_formula(tmp_path, write_model, table, dtype):
    tensors = _tensors(SMALL, qk_norm=True)
    total = _count(tensors)
    for name in [name for name in tensors if name.endswith("_proj.weight")]:
        rows, columns = tensors.pop(name)[1]
        tensors[name.replace("weight", "qweight")] = ("I32", (columns // 8, rows))
        tensors[name.replace("weight", "scales")] = ("F16", (1, rows))
    found = _detect(write_model(tmp_path, {**SMALL, **table}, tensors))

    assert found.parameters == total
    assert found.dtype == dtype


def test_unknown_family_still_says_what_its_config_says(tmp_path, write_model):
    config = {**SMALL, "model_type": "newmodel", "intermediate_size": [96, 96], "torch_dtype": "float16"}
    del config["tie_word_embeddings"]

    found = _detect(write_model(tmp_path, config, _tensors(SMALL)))

    assert (found.family, found.convertible, found.num_layers, found.intermediate_size) == ("newmodel", False, 2, None)
    assert (found.attention_type, found.tied_embeddings) == ("gqa", True)
    assert found.parameters == _count(_tensors(SMALL))


def test_multi_head_latent_attention(tmp_path):
    config = {"model_type": "deepseek_v3", "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64}
    (tmp_path / "config.json").write_text(json.dumps(config))

    found = _detect(tmp_path)

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
    write_model(tmp_path, LLAMA_31_8B, _tensors(LLAMA_31_8B), shards=4)
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
