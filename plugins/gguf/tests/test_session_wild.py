"""GGUF files of kinds that pajamas does not write: sliding windows, learned positions, encoders, odd metadata."""

from __future__ import annotations

import os

import gguf
import numpy as np
import pytest

import wild_models
from pajamas.errors import ModelFileError, UnsupportedFeature, UnsupportedModel, UsageError
from pajamas.types import GenerateRequest, Sampling
from pajamas_gguf.probe import cache_folder
from pajamas_gguf.session import load


def answer(session, tokens, **fields):
    """Token ids of a greedy answer, and how many tokens of the prompt were not computed again."""
    request = GenerateRequest(
        token_ids=tuple(tokens), sampling=Sampling(temperature=0), max_tokens=8, ignore_eos=True, **fields
    )
    chunks = list(session.generate(request))
    return [token for chunk in chunks for token in chunk.token_ids], chunks[-1].usage.cached_tokens


@pytest.fixture(scope="module")
def sliding(tmp_path_factory, load_session):
    path = wild_models.write_cohere2(tmp_path_factory.mktemp("wild") / "sliding.gguf")
    return load_session(path, context_length=2048, kv_type="f32")


def tokens(count, seed=0):
    return np.random.default_rng(seed).integers(3, len(wild_models.WORDS), count).tolist()


@pytest.mark.parametrize("kept", [40, 600, 1300])
def test_going_back_behind_a_sliding_window_computes_it_anew(sliding, kept):
    long = tokens(1900)
    shorter = [*long[:kept], *tokens(9, seed=1)]
    alone, _ = answer(sliding, shorter, cache_prompt=False)
    answer(sliding, long)

    assert answer(sliding, shorter)[0] == alone


def test_a_sliding_window_that_is_there_is_reused(sliding):
    long = tokens(1900)
    answer(sliding, long)

    assert answer(sliding, [*long[:1880], 5, 6])[1] == 1880


def test_going_back_in_a_restored_sliding_window_computes_it_anew(sliding, tmp_path):
    long = tokens(100)
    shorter = [*long[:60], *tokens(9, seed=1)]
    alone, _ = answer(sliding, shorter, cache_prompt=False)
    answered, _ = answer(sliding, long)
    sliding.save_prompt_cache(tmp_path / "cache")

    sliding.load_prompt_cache(tmp_path / "cache")
    assert answer(sliding, shorter)[0] == alone
    count = sliding.load_prompt_cache(tmp_path / "cache")
    assert answer(sliding, [*long, *answered, 9])[1] == count


def test_no_context_beyond_learned_positions(tmp_path, load_session):
    path = wild_models.write_gpt2(tmp_path / "positions.gguf", positions=40)

    assert len(answer(load_session(path), tokens(32))[0]) == 8
    with pytest.raises(UsageError, match="40"):
        load_session(path, context_length=41)


def test_encoders_embed_both_ways_and_generate_nothing(tmp_path, load_session):
    for path in (
        wild_models.write_bert(tmp_path / "bert.gguf"),
        wild_models.write_t5(tmp_path / "encoder.gguf", decoder=False),
    ):
        rows = load_session(path, embeddings=True).embed(["w1 w2", "w1 w3"])
        # Pooled by the first token: what stands after it makes the difference.
        assert np.abs(rows[0] - rows[1]).max() > 1e-3
        with pytest.raises(UnsupportedFeature, match="does not generate"):
            load_session(path)


@pytest.mark.parametrize("embeddings", [False, True])
def test_an_encoder_with_its_decoder_is_refused(tmp_path, load_session, embeddings):
    path = wild_models.write_t5(tmp_path / "t5.gguf", decoder=True)

    with pytest.raises(UnsupportedModel, match="encoder-decoder"):
        load_session(path, embeddings=embeddings)


def rewrite(source, target, architecture=None, parts=0, **changed):
    """The file again, with other values for some keys (dots as two underscores), in parts of so many tensors."""
    reader = gguf.GGUFReader(source)
    architecture = architecture or reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, architecture, split_max_tensors=parts)
    for key, field in reader.fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture":
            value = changed.pop(key.replace(".", "__"), field.contents())
            writer.add_key_value(key, value, field.types[0], field.types[-1])
    for key, value in changed.items():
        writer.add_key_value(key.replace("__", "."), value, gguf.GGUFValueType.get_type(value))
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def test_a_split_model_loads_by_any_of_its_parts(tiny_q4, tmp_path, load_session, session):
    rewrite(tiny_q4, tmp_path / "x.gguf", parts=20)
    parts = sorted(tmp_path.glob("x-*.gguf"))
    assert len(parts) > 1

    whole = answer(session, range(9, 20))[0]
    for part in parts:
        assert answer(load_session(part), range(9, 20))[0] == whole


def test_a_later_part_that_changes_is_examined_again(tiny_q4, tmp_path, load_session):
    rewrite(tiny_q4, tmp_path / "x.gguf", parts=20)
    first, *_, last = sorted(tmp_path.glob("x-*.gguf"))
    load_session(first)
    marks = cache_folder() / "checked"
    before = len(list(marks.iterdir()))

    load_session(first)
    assert len(list(marks.iterdir())) == before
    os.utime(last, ns=(0, 0))
    load_session(first)
    assert len(list(marks.iterdir())) == before + 1


def test_what_the_engine_does_not_know_is_unsupported(tiny_q4, tmp_path, load_session):
    with pytest.raises(UnsupportedModel, match="does not know"):
        load_session(rewrite(tiny_q4, tmp_path / "arch.gguf", architecture="martian"))
    with pytest.raises(UnsupportedModel, match="martian"):
        load_session(rewrite(tiny_q4, tmp_path / "pre.gguf", tokenizer__ggml__pre="martian"))


def test_a_recommendation_that_makes_no_sense_is_passed_over(tiny_q4, tmp_path, load_session):
    path = rewrite(
        tiny_q4,
        tmp_path / "odd.gguf",
        **{"general__sampling__top_p": 7.0, "general__sampling__min_p": float("nan"), "general__sampling__temp": 0.5},
    )

    assert load_session(path).default_sampling == Sampling(temperature=0.5)


def test_a_file_that_vanishes_while_it_is_loaded_is_an_error(tiny_q4, tmp_path, load_session, monkeypatch):
    path = tmp_path / "gone.gguf"
    path.write_bytes(tiny_q4.read_bytes())
    resolve = load.resolve

    def resolve_and_remove(*arguments, **options):
        path.unlink()
        return resolve(*arguments, **options)

    monkeypatch.setattr(load, "resolve", resolve_and_remove)
    with pytest.raises(ModelFileError, match="gone"):
        load_session(path)
