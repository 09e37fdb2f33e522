"""The smallest allocation that is good enough: the search by itself, and the estimate that it rests on."""

from __future__ import annotations

import json

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten
from mlx_lm.models import gemma2
from mlx_lm.utils import load_model

from mlx_jobs import TINY, WIDE, made, make_job, written
from pajamas.calibration import find_corpus
from pajamas_mlx.quantize import origin
from pajamas_mlx.quantize.activations import measure
from pajamas_mlx.quantize.choices import Choice, choose
from pajamas_mlx.quantize.corpus import general_corpus
from pajamas_mlx.quantize.divergence import Original
from pajamas_mlx.quantize.notes import listed
from pajamas_mlx.quantize.opening import open_model
from pajamas_mlx.quantize.pipeline import make_task, quantize
from pajamas_mlx.quantize.recipe import find_recipe
from pajamas_mlx.quantize.smallest import smallest
from pajamas_mlx.quantize.streaming import OnDisk
from pajamas_mlx.quantize.work import work
from random_models import make_model


def counted(loads):
    asked = []

    def probe(steps):
        asked.append(steps)
        return loads[steps]

    return probe, asked


@pytest.mark.parametrize("power", [0.5, 1, 3])
@pytest.mark.parametrize("wanted", [1, 40, 149, 298, 299])
def test_few_probes_find_few_steps(power, wanted):
    """Also where the load does not fall as the errors do."""
    errors = [1 - step / 300 for step in range(301)]
    edge = errors[wanted] ** power
    probe, asked = counted([1 + error**power - edge for error in errors])

    steps, enough = smallest(errors, probe)

    assert enough
    assert wanted <= steps <= wanted + 18
    assert len(asked) <= 8


def test_of_few_steps_the_fewest_are_found():
    errors = [1 - step / 15 for step in range(16)]
    for wanted in range(1, 15):
        probe, _ = counted([1.5 if step < wanted else 0.9 for step in range(16)])

        assert smallest(errors, probe) == (wanted, True)


def test_a_recipe_that_is_good_enough_is_asked_about_once():
    probe, asked = counted([1.0, 0.5, 0.2])

    assert smallest([1.0, 0.5, 0.2], probe) == (0, True)
    assert asked == [0]


@pytest.mark.parametrize("load", [1.1, float("inf"), float("nan")])
def test_too_little_room_is_told_after_two_probes(load):
    probe, asked = counted([load] * 10)

    assert smallest([1 - step / 10 for step in range(10)], probe) == (9, False)
    assert asked == [0, 9]


def original_of(model, batches):
    source = OnDisk(model, "float32")
    activations = measure(source, batches, lambda _: None, len(batches))
    return Original(source=source, batches=batches, activations=activations)


def directly(model, candidate, batches):
    """KL divergence and perplexity of whole models, computed at once in float32."""
    divergences, losses = [], []
    for batch in batches:
        logits = []
        for folder in (model, candidate):
            loaded = load_model(folder)[0]
            loaded.set_dtype(mx.float32)
            answer = loaded(batch).astype(mx.float32)
            logits.append(answer - mx.logsumexp(answer, axis=-1, keepdims=True))
        one, other = (values[:, batch.shape[1] // 2 : -1] for values in logits)
        divergences.append((mx.exp(one) * (one - other)).sum(axis=-1).mean().item())
        targets = batch[:, batch.shape[1] // 2 + 1 :, None]
        losses.append(mx.take_along_axis(one - other, targets, axis=-1).mean().item())
    return sum(divergences) / len(batches), 100 * (float(mx.exp(mx.array(sum(losses) / len(batches)))) - 1)


def make_gemma(folder):
    """Its logits are capped after the output layer, here so that it matters."""
    config = {
        "model_type": "gemma2", "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 128, "head_dim": 32,
        "num_attention_heads": 2, "num_key_value_heads": 1, "rms_norm_eps": 1e-6, "vocab_size": 512,
        "final_logit_softcapping": 0.5, "max_position_embeddings": 512, "architectures": ["Gemma2ForCausalLM"],
    }  # fmt: skip
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    mx.random.seed(1)
    model = gemma2.Model(gemma2.ModelArgs.from_dict(config))
    weights = {name: (array * 4).astype(mx.bfloat16) for name, array in tree_flatten(model.parameters())}
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
    return folder


@pytest.mark.parametrize("name", ["Qwen3-0.6B", "Mistral-7B-Instruct-v0.3", "Qwen3-30B-A3B", "phi-4", "gemma"])
def test_an_estimate_is_what_the_finished_model_loses(tmp_path, name):
    """Models with a tied output layer and one of its own, with experts, and with something after the output layer."""
    model = make_gemma(tmp_path / name) if name == "gemma" else make_model(name, tmp_path)
    vocabulary = open_model(model).model.args.vocab_size
    batches = [mx.random.randint(0, vocabulary, (2, 40), key=mx.random.key(number)) for number in range(2)]
    opened = open_model(model)
    choices, _ = choose(opened.model, opened.config, Choice(3, 32), 6, None)

    estimate = original_of(model, batches).probe(choices, lambda _: None)

    _, folder = made(model, tmp_path / "a", "3bit", embedding_bits=6, group_size=32)
    divergence, increase = directly(model, folder, batches)
    assert divergence > 0
    assert estimate.divergence == pytest.approx(divergence, rel=0.02)
    assert estimate.increase == pytest.approx(increase, rel=0.05, abs=0.25)
    assert 0 < estimate.divergence_error < estimate.divergence


def task_of(model, parent, **options):
    """A task as the pipeline makes it, with all its folders."""
    job = make_job(model, parent / "out", "4bit", **options)
    source, output, text = parent / "source", parent / "made", parent / "text.txt"
    for folder in (source, output):
        folder.mkdir(parents=True)
    origin.link(job.files, source)
    text.write_text((find_corpus(job) or general_corpus()).text[:2400], encoding="utf-8")
    return make_task(job, find_recipe(job), source, output, text)


def test_no_more_layers_are_raised_than_are_needed(tmp_path):
    sizes = {}
    for limit in (0.3, 0.05, 1e-4):
        task = task_of(TINY, tmp_path / str(limit), target_bpw=5.7, max_divergence=limit)

        result = work(task, lambda *_, **__: None)

        sizes[limit] = result.size
        assert result.enough == (limit > 1e-3)
        assert (len(result.probes) == 1) == (limit == 0.3)
        assert all(probe["bits_per_weight"] <= 5.7 for probe in result.probes)
    assert sizes[0.3] < sizes[0.05] < sizes[1e-4]
    assert 8 * sizes[1e-4] / result.parameters <= 5.7


def test_the_increase_of_perplexity_decides_too(tmp_path):
    task = task_of(TINY, tmp_path, target_bpw=5.7, max_divergence=10.0, max_increase=1e-3)

    assert work(task, lambda *_, **__: None).enough is False


def test_estimating_holds_a_layer_of_each_model_and_not_the_models(tmp_path):
    model = make_model("wide", tmp_path, {"config": WIDE, "shards": 4})
    opened = open_model(model)
    choices, _ = choose(opened.model, opened.config, Choice(4, 64), 6, None)
    original = original_of(model, [mx.array([[5, 6, 7, 5] * 8])])
    before = mx.get_active_memory()
    mx.reset_peak_memory()

    original.probe(choices, lambda _: None)

    assert mx.get_peak_memory() - before < written(model) / 4
    assert mx.get_active_memory() - before < written(model) / 100


def test_what_was_raised_is_listed_by_kind():
    raised = {f"model.layers.{number}.mlp.up_proj": 5 for number in (0, 11, 10, 2)}

    assert listed(raised | {"model.embed_tokens": 8}) == (
        "5 layers with the largest errors are raised: to 5 bits mlp.up_proj of 0 2 10-11; to 8 bits model.embed_tokens."
    )


def test_a_model_without_a_text_is_measured_on_one_of_ours(tmp_path):
    model = make_model("Qwen3-0.6B", tmp_path)

    assert find_corpus(make_job(model, tmp_path / "out")) is None
    result = quantize(make_job(model, tmp_path / "out", target_bpw=7.0, max_divergence=1e-9))

    assert result.details["calibration"]["corpus"] == "general.txt"
    assert result.details["estimate"]["enough"] is False
    assert len(result.details["estimate"]["probes"]) == 2
    assert any("--precision 6bit" in note for note in result.notes)
