"""References: what they keep is exact or bounded, and a damaged one is refused."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

import pajamas
from pajamas.errors import ChecksumMismatch, ModelFileError, PajamasError, UsageError
from pajamas_validate.reference import MAGIC, MOST_TOKENS, SAMPLE, TAIL, keep
from pajamas_validate.reference_file import open_reference
from pajamas_validate.sampled import estimate


def log_softmax(logits):
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


@pytest.mark.parametrize("spread", [0.3, 1, 3])
@pytest.mark.parametrize("noise", [0.03, 1])
def test_the_divergence_is_estimated_without_bias_and_as_well_as_its_error_says(spread, noise):
    random = np.random.RandomState(1)
    logits = random.standard_normal((300, 3000)) * spread
    original = log_softmax(logits)
    candidate = log_softmax(logits + random.standard_normal(logits.shape) * noise)
    true = (np.exp(original.astype(np.float64)) * (original - candidate.astype(np.float64))).sum(axis=1)

    record = keep(original, np.zeros(300, np.int32), np.random.default_rng(0))
    values, errors = np.transpose([estimate(record, row, candidate[row]) for row in range(300)])

    error = np.sqrt((errors**2).sum()) / 300
    assert record.tail.max() > 0.05  # the sample has something to tell
    assert values.mean() == pytest.approx(true.mean(), abs=4 * error)
    assert np.abs(values.mean() - true.mean()) > error / 1000
    assert np.std(values - true) == pytest.approx(np.sqrt((errors**2).mean()), rel=0.2)


def test_a_vocabulary_without_a_tail_is_exact():
    random = np.random.RandomState(1)
    original, candidate = (log_softmax(random.standard_normal((9, 50))) for _ in range(2))
    record = keep(original, np.zeros(9, np.int32), np.random.default_rng(0))

    found = [estimate(record, row, candidate[row]) for row in range(9)]

    true = (np.exp(original.astype(np.float64)) * (original - candidate.astype(np.float64))).sum(axis=1)
    assert [value for value, _ in found] == pytest.approx(true, abs=1e-4)
    assert max(error for _, error in found) < 1e-4


def test_a_token_that_the_candidate_holds_for_impossible_diverges_without_end():
    original = log_softmax(np.random.RandomState(0).standard_normal((1, 1000)))
    record = keep(original, np.zeros(1, np.int32), np.random.default_rng(0))

    for token in (record.ids[3], record.sample_ids[3]):
        candidate = original[0].copy()
        candidate[token] = -np.inf
        assert estimate(record, 0, candidate)[0] == np.inf


def test_what_is_kept_is_the_most_likely_until_little_is_left():
    spread = np.linspace(1, 9, 30)[:, None]  # from flat to decided
    original = log_softmax(np.random.RandomState(0).standard_normal((30, 1000)) * spread)

    record = keep(original, np.arange(30, dtype=np.int32), np.random.default_rng(0))

    assert record.right.tolist() == original[np.arange(30), np.arange(30)].tolist()
    assert record.counts.min() < MOST_TOKENS == record.counts.max()
    start = 0
    for row, count in zip(original, record.counts, strict=True):
        order = np.argsort(-row, kind="stable")
        assert record.ids[start : start + count].tolist() == order[:count].tolist()
        left = np.exp(row[order[count:]].astype(np.float64))
        assert left.sum() <= TAIL or count == MOST_TOKENS
        assert left.sum() + np.exp(row[order[count - 1]]) > TAIL
        start += count
    assert record.tail[-1] == pytest.approx(left.sum(), rel=1e-4)
    drawn = record.sample_ids.reshape(30, SAMPLE)
    assert not set(drawn[-1]) & set(order[:count])
    assert record.sample_logprobs.reshape(30, SAMPLE)[-1].tolist() == row[drawn[-1]].tolist()


@pytest.fixture(scope="module")
def saved(tiny_gguf, tmp_path_factory):
    """A reference of four windows, and what the run that wrote it found."""
    path = tmp_path_factory.mktemp("reference") / "tiny.reference"
    result = pajamas.run(
        "validate",
        quantized=tiny_gguf("q4_k_m"),
        original=tiny_gguf("f16"),
        metrics="perplexity,kld",
        options={"windows": 4, "save_reference": path},
    )
    return path, result


def judge(path, candidate, **request):
    request = {"alone": True, "metrics": "perplexity,kld", **request}
    options = {"reference": path, **request.pop("options", {})}
    return pajamas.run("validate", quantized=candidate, options=options, **request)


def test_a_candidate_is_judged_by_a_reference_as_by_the_original(saved, tiny_gguf):
    path, expected = saved

    result = judge(path, tiny_gguf("q4_k_m"))

    for metric in (
        "perplexity",
        "perplexity-original",
        "perplexity-increase",
        "same-top-token",
        "probability-change-rms",
    ):
        assert result.finding(metric).value == expected.finding(metric).value, metric
    kld, true = result.finding("kld"), expected.finding("kld")
    assert kld.value == pytest.approx(true.value, abs=4 * kld.details["sampling_error"])
    assert kld.details["sampling_error"] < true.error / 4
    assert kld.error == pytest.approx(true.error, rel=0.02)
    assert result.finding("perplexity-original").details["model"] == "F16"


def test_a_reference_is_compact(saved):
    path, _ = saved

    assert path.stat().st_size < 4 * 255 * 700 + 60_000


def test_the_original_itself_can_write_its_reference(saved, tiny_gguf, tmp_path):
    pajamas.run(
        "validate",
        quantized=tiny_gguf("f16"),
        alone=True,
        metrics="perplexity",
        options={"windows": 4, "save_reference": tmp_path / "alone"},
    )

    assert (tmp_path / "alone").read_bytes() == saved[0].read_bytes()


def test_a_reference_of_fewer_windows_limits_them_and_fewer_can_be_asked_for(saved, tiny_gguf):
    few = judge(saved[0], tiny_gguf("q8_0"), options={"windows": 2})

    assert few.finding("perplexity").details["windows"] == 2
    assert judge(saved[0], tiny_gguf("q8_0")).finding("perplexity").details["windows"] == 4
    with pytest.raises(UsageError, match="has 4 windows"):
        judge(saved[0], tiny_gguf("q8_0"), options={"windows": 9})


def test_a_reference_of_another_text_or_beside_an_original_is_refused(saved, tiny_gguf):
    with pytest.raises(UsageError, match="another text"):
        judge(saved[0], tiny_gguf("q8_0"), text="Another text. " * 500)
    with pytest.raises(UsageError, match="windows of 512"):
        judge(saved[0], tiny_gguf("q8_0"), options={"context": 256})
    with pytest.raises(UsageError, match="contradict"):
        judge(saved[0], tiny_gguf("q8_0"), alone=False, original=tiny_gguf("f16"))
    with pytest.raises(UsageError, match="contradict"):
        judge(saved[0], tiny_gguf("q8_0"), options={"save_reference": "x"})


@pytest.mark.parametrize("place", [0, 5, 25, 60, 3000, 50_000, -40, -1])
def test_a_damaged_byte_is_found(saved, tmp_path, place):
    data = bytearray(saved[0].read_bytes())
    data[place] ^= 1
    (tmp_path / "damaged").write_bytes(data)

    with pytest.raises((ChecksumMismatch, UsageError)):
        open_reference(tmp_path / "damaged")


@pytest.mark.parametrize("size", [0, 10, 20, 30, 400, 60_000, -1])
def test_a_file_that_is_cut_short_is_refused(saved, tmp_path, size):
    (tmp_path / "short").write_bytes(saved[0].read_bytes()[:size])

    with pytest.raises((ChecksumMismatch, UsageError)):
        open_reference(tmp_path / "short")


def signed(header, rest=b"", size=None):
    """A file with a right checksum that says what it likes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    data = MAGIC + (len(text) if size is None else size).to_bytes(8, "little") + text + rest
    return data + hashlib.sha256(data).digest()


HEADER = {"model": "F16", "text": "a", "text_sha256": "b", "context": 8, "windows": 1, "prefix": [], "tokens": 8}


@pytest.mark.parametrize(
    "data",
    [
        signed(HEADER, size=2**60),
        signed(HEADER, size=2**63),
        signed(b"{"),
        signed(b"[]"),
        signed({}),
        signed(HEADER | {"more": 1}),
        signed(HEADER | {"tokens": 10**15}),
        signed(HEADER | {"tokens": "8"}, bytes(32)),
        signed(HEADER | {"context": -8}, bytes(32)),
        signed(HEADER | {"context": 0}, bytes(32)),
        signed(HEADER | {"prefix": 3}, bytes(32)),
        signed(HEADER | {"model": None}, bytes(32)),
        signed(HEADER | {"windows": 2}, bytes(32)),
        signed(HEADER | {"windows": 0}, bytes(32)),
    ],
)
def test_a_hostile_header_is_refused(tmp_path, data):
    (tmp_path / "hostile").write_bytes(data)

    with pytest.raises(PajamasError):
        open_reference(tmp_path / "hostile")


ROWS = 3
NUMBERS = ROWS * (2 + 2 * SAMPLE)
"""Of four bytes each, between the counts and what is kept: right, tail and the sample."""


@pytest.mark.parametrize(
    "records",
    [
        b"",
        bytes(2 * ROWS + 4 * NUMBERS),  # no token is kept
        b"\xff" * 2 * ROWS + bytes(4 * NUMBERS),  # more are kept than there are
        b"\x01\x00" * ROWS + bytes(4 * NUMBERS + 4 * ROWS) + b"\xff" * 4 * ROWS,  # not numbers
    ],
)
def test_hostile_records_are_refused(tmp_path, records):
    (tmp_path / "hostile").write_bytes(signed(HEADER, bytes(32) + records))

    with pytest.raises(ModelFileError):
        list(open_reference(tmp_path / "hostile").records())
