"""What a config asks for and mlx-lm would pass over: done here, or refused by name."""

from __future__ import annotations

import json

import numpy as np
import pytest

from asked import STORY, TINY, request, tokens_of
from pajamas.errors import UnsupportedFeature, UnsupportedModel
from pajamas_mlx.model_config import default_keys
from pajamas_mlx.session.rope import corrections
from pajamas_mlx.session.windows import window_of
from random_models import make_model


def test_rope_scaling_is_said_in_words_that_mlx_reads():
    llama = {"model_type": "llama", "max_position_embeddings": 8192}
    yarn = corrections(
        llama | {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 5e5, "attention_factor": 1.25}},
        4096,
    )
    assert (yarn["rope_theta"], yarn["rope_scaling"]["original_max_position_embeddings"]) == (5e5, 8192)
    assert 0.1 * yarn["rope_scaling"]["mscale"] * np.log(4.0) + 1 == pytest.approx(1.25)

    long = {"type": "longrope", "short_factor": [1.0], "long_factor": [2.0]}
    phi = {"model_type": "phi3", "rope_scaling": long, "original_max_position_embeddings": 4096}
    assert corrections(phi, 4096)["rope_scaling"]["long_factor"] == [1.0]
    assert corrections(phi, 4097)["rope_scaling"]["long_factor"] == [2.0]
    for ignored in ({"type": "yarn", "factor": 2.0}, long | {"attention_factor": 1.5}):
        with pytest.raises(UnsupportedModel, match="asks for"):
            corrections(phi | {"rope_scaling": ignored}, 4096)

    assert corrections(llama, 4096) == {}


def test_what_a_config_leaves_to_transformers_is_filled_in():
    config = {"model_type": "qwen3_moe", "num_experts": 4, "norm_topk_prob": True}

    assert default_keys(config)["decoder_sparse_step"] == 1
    assert "norm_topk_prob" not in default_keys(config)
    assert default_keys(json.loads((TINY / "config.json").read_text())) == {}


@pytest.mark.parametrize(
    ("config", "size", "everywhere"),
    [
        ({"model_type": "mistral"}, 4096, True),
        ({"model_type": "mistral", "sliding_window": None}, None, None),
        ({"model_type": "mistral", "sliding_window": 8, "layer_types": ["full_attention"]}, None, None),
        ({"model_type": "phi3", "sliding_window": 2047}, 2047, True),
        ({"model_type": "qwen2", "sliding_window": 8}, None, None),
        ({"model_type": "qwen2", "sliding_window": 8, "use_sliding_window": True, "max_window_layers": 0}, 8, True),
        ({"model_type": "qwen2", "sliding_window": 8, "use_sliding_window": True, "max_window_layers": 2}, 8, False),
        ({"model_type": "qwen2", "sliding_window": 8, "use_sliding_window": True, "max_window_layers": 4}, None, None),
        ({"model_type": "qwen3_moe", "sliding_window": 8, "use_sliding_window": True}, 8, True),
        ({"model_type": "gpt_oss", "sliding_window": 128}, None, None),  # mlx-lm's own
        ({"model_type": "glm4", "sliding_window": 128}, 128, False),
    ],
)
def test_windows_are_read_as_transformers_reads_them(config, size, everywhere):
    found = window_of(config | {"num_hidden_layers": 4})

    assert (found and found.size, found and found.everywhere) == (size, everywhere)


def test_a_window_that_all_layers_have_is_kept_and_one_of_some_is_refused(load, folder, edit):
    """The bundled model with a window: what lies behind it changes nothing, in a prompt and in an answer."""
    edit(use_sliding_window=True, sliding_window=16, layer_types=["sliding_attention"] * 4)
    session = load(folder, compute_dtype="float32", batch_size=8)
    ids = session.tokenize(STORY * 8)
    far = 4 * 16  # a token reaches so far back, a window a layer
    assert len(ids) > far + 16
    other = [ids[-1], *ids[1:]]
    rows, changed = (np.concatenate(list(session.score(tokens))) for tokens in (ids, other))
    assert np.abs(rows[:8] - changed[:8]).max() > 1 and np.array_equal(rows[far:], changed[far:])

    edit(layer_types=["full_attention"] + ["sliding_attention"] * 3)
    with pytest.raises(UnsupportedModel, match="16"):
        load(folder, context_length=17)
    assert load(folder).context_length == 16


def test_weights_without_the_prefix_are_the_same_model(load, folder, edit):
    path = folder / "model.safetensors"
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = {name.removeprefix("model."): entry for name, entry in json.loads(data[8 : 8 + length]).items()}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])

    asked = request(exact=True)
    assert tokens_of(load(folder).generate(asked)) == tokens_of(load().generate(asked))
    edit(tie_word_embeddings=False)
    with pytest.raises(UnsupportedModel, match="output layer"):
        load(folder)


def test_experts_of_16_bits_are_computed_in_float32_on_the_processor(load, tmp_path, caplog):
    session = load(make_model("Qwen3-30B-A3B", tmp_path), device="cpu")

    assert "float32" in caplog.text
    assert tokens_of(session.generate(request(max_tokens=3)))


def test_keys_and_values_of_few_bits_take_less_memory_and_answer_as_mlx_lm_does(load):
    import mlx_lm
    from mlx_lm.models.cache import QuantizedKVCache

    model, tokenizer = mlx_lm.load(str(TINY))
    sizes = []
    for bits in (8, 4):
        session = load(kv_type=f"{bits}bit")
        cache = [QuantizedKVCache(32, bits) for _ in model.layers]
        theirs = [
            one.token for one in mlx_lm.stream_generate(model, tokenizer, STORY, max_tokens=40, prompt_cache=cache)
        ]
        mine = tokens_of(session.generate(request(max_tokens=40)))
        sizes.append(session.memory.kv_cache)
        assert mine == [token for token in theirs if token not in tokenizer.eos_token_ids]
    plain = load()
    list(plain.generate(request(max_tokens=40)))

    assert sizes[1] < sizes[0] < plain.memory.kv_cache


def test_layers_with_a_window_have_no_quantized_cache(load, folder, edit):
    edit(use_sliding_window=True, sliding_window=16, layer_types=["sliding_attention"] * 4)

    with pytest.raises(UnsupportedFeature, match="8 bits"):
        load(folder, kv_type="8bit")
