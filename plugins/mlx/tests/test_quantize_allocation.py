"""Which layers are raised: the allocation by itself, and on a model."""

from __future__ import annotations

import itertools

import mlx.core as mx
import numpy as np
import pytest

from mlx_jobs import TINY, WIDE, made, planned, types_of, written
from pajamas.errors import UsageError
from pajamas_mlx.quantize.activations import measure
from pajamas_mlx.quantize.allocation import Offer, order_steps
from pajamas_mlx.quantize.choices import layers
from pajamas_mlx.quantize.opening import open_model
from pajamas_mlx.quantize.streaming import OnDisk
from random_models import make_model

BITS = (4, 5, 6, 8)


def allocate(offers, budget):
    """What each layer has after all steps."""
    return {layer: found[0] for layer, found in offers.items()} | {
        step.layer: step.offer for step in order_steps(offers, budget)
    }


def offers_of(random, count):
    """Errors that fall by about four for each bit, as those of real layers do."""
    return {
        f"layer{number}": [
            Offer(bits, int(elements * bits), error * 4.0**-bits * random.uniform(0.8, 1.2)) for bits in BITS
        ]
        for number, (elements, error) in enumerate(
            zip(random.integers(10, 60, count), random.lognormal(size=count), strict=True)
        )
    }


@pytest.mark.parametrize("seed", range(8))
def test_it_is_near_the_best_of_all_and_within_the_budget(seed):
    random = np.random.default_rng(seed)
    offers = offers_of(random, 6)
    least, most = (sum(pick(found, key=lambda o: o.size).size for found in offers.values()) for pick in (min, max))
    budget = (least + most) // 2

    taken = allocate(offers, budget)

    best = min(
        sum(offer.error for offer in chosen)
        for chosen in itertools.product(*offers.values())
        if sum(offer.size for offer in chosen) <= budget
    )
    assert sum(offer.size for offer in taken.values()) <= budget
    assert sum(offer.error for offer in taken.values()) <= 1.15 * best


def test_a_budget_without_room_raises_nothing():
    offers = offers_of(np.random.default_rng(0), 4)

    assert allocate(offers, 0) == {layer: found[0] for layer, found in offers.items()}


def test_a_budget_for_all_raises_all():
    offers = offers_of(np.random.default_rng(0), 4)

    assert {offer.bits for offer in allocate(offers, 1 << 40).values()} == {8}


def test_an_offer_above_the_hull_is_never_taken():
    offers = {"a": [Offer(4, 40, 1.0), Offer(5, 50, 0.99), Offer(6, 60, 0.1)]}

    assert allocate(offers, 55)["a"].bits == 4
    assert allocate(offers, 60)["a"].bits == 6


@pytest.mark.parametrize("name", ["Qwen3-0.6B", "Qwen3-30B-A3B", "Mistral-7B-Instruct-v0.3"])
def test_inputs_are_measured_as_the_model_computes_them(tmp_path, name):
    """Against numpy for what enters the first layer; every layer is reached, a tied embedding as the output layer."""
    model = make_model(name, tmp_path)
    ids = mx.array([[5, 6, 7, 5]])

    found = measure(OnDisk(model, "float32"), [ids, ids], lambda _: None).squares

    opened = open_model(model, "float32").model
    tied = not hasattr(opened, "lm_head")
    assert found.keys() == {path for path, _ in layers(opened) if tied or path != "model.embed_tokens"}
    embedded = np.array(opened.model.embed_tokens.weight[ids[0]])
    norm = np.array(opened.model.layers[0].input_layernorm.weight)
    normed = embedded / np.sqrt((embedded**2).mean(-1, keepdims=True) + opened.args.rms_norm_eps) * norm
    expected = (normed**2).mean(0)
    assert np.allclose(np.array(found["model.layers.0.self_attn.q_proj"]), expected, rtol=1e-3)


def test_layers_are_raised_up_to_the_target(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("What is 2 + 3? It is 5. " * 100, encoding="utf-8")

    plan = planned(TINY, tmp_path / "a", target_bpw=5.5)
    result, folder = made(TINY, tmp_path / "b", text=text, target_bpw=5.5)

    bpw = 8 * written(folder) / result.parameters
    assert 5.45 < bpw <= 5.5
    assert result.size <= plan.bound <= 5.5 * result.parameters / 8
    assert len(result.raised) > 5
    kinds = types_of(result)
    assert all(kinds[f"{path}.weight"] == f"{bits}bit g64" for path, bits in result.raised.items())
    assert sum(kind == "4bit g64" for kind in kinds.values()) == 28 - len(result.raised.keys() - {"model.embed_tokens"})
    assert result.tokens > 100


def test_a_recipe_above_the_target_raises_nothing_and_its_size_is_exact(tmp_path):
    plan = planned(TINY, tmp_path / "a", target_bpw=4.5)
    result, folder = made(TINY, tmp_path / "b", target_bpw=4.5)

    assert result.raised == {}
    assert plan.bound is None
    assert plan.size == written(folder)


def test_the_text_decides(tmp_path):
    """Without a text the weights' own errors do, and another allocation comes of it."""
    text = tmp_path / "text.txt"
    text.write_text("What is 2 + 3? It is 5. " * 100, encoding="utf-8")

    weighted, _ = made(TINY, tmp_path / "a", text=text, target_bpw=5.2)
    plain, _ = made(TINY, tmp_path / "b", target_bpw=5.2)

    assert plain.tokens is None
    assert plain.raised
    assert weighted.raised != plain.raised


def test_a_text_of_less_than_a_window_is_refused(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("Hello there. " * 40, encoding="utf-8")

    with pytest.raises(UsageError, match="too short"):
        made(TINY, tmp_path / "a", text=text, target_bpw=5.5)


def test_measuring_holds_one_layer_and_not_the_model(tmp_path):
    model = make_model("wide", tmp_path, {"config": WIDE, "shards": 4})
    before = mx.get_active_memory()
    mx.reset_peak_memory()

    measure(OnDisk(model), [mx.array([[5, 6, 7, 5]])], lambda _: None)

    assert mx.get_peak_memory() - before < written(model) / 5


def test_a_smaller_body_is_raised_by_every_width_that_there_is(tmp_path):
    result, folder = made(TINY, tmp_path, "2bit", target_bpw=3.9)

    assert {3, 4} <= set(result.raised.values())
    assert 8 * written(folder) / result.parameters <= 3.9
