"""What an original says about a text, compact: enough to judge a candidate where the original does not fit.

Of each scored token the file keeps the log-probability of the right token, the most likely tokens with theirs, the
probability T of all others, the tail, and a sample of the tail: tokens drawn from it as the original distributes it,
with their log-probabilities. Perplexities, their ratio, the same top token and changes of probability are exact. The
divergence is estimated, without bias:

    D = sum over the kept of p log(p / q) + T * mean over the sample of log(p / q)

Its standard error is T * sqrt(var / (m - 1)) with the variance of log(p / q) over the m tokens of the sample; that of
the mean over n scored tokens is the root of the sum of squares, divided by n. It is part of the error that is printed,
and told by itself too.

The file: a magic line; the length of the header, uint64; the header, JSON; the text's token ids, int32; for each window
its records; and the sha256 of all before. Numbers are little-endian.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from attrs import asdict, frozen

from pajamas.errors import UsageError
from pajamas_validate.atomic import atomic

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAGIC = b"pajamas reference 1\n"
MOST_TOKENS = 64
"""Kept of one distribution."""
SAMPLE = 16
"""Tokens drawn from its tail."""
TAIL = 1e-4
"""Fewer are kept where the others together have no more probability than this."""
FIELDS = {
    "counts": "<u2", "right": "<f4", "tail": "<f4", "sample_ids": "<u4", "sample_logprobs": "<f4", "ids": "<u4",
    "logprobs": "<f4",
}  # fmt: skip
"""A window's records in the order in which they are written, each with the type of its numbers."""


@frozen(kw_only=True)
class Header:
    model: str
    """What the original is called in a line of figures."""
    text: str
    text_sha256: str
    context: int
    windows: int
    prefix: tuple[int, ...]
    tokens: int
    """Token ids in the file."""


@frozen(kw_only=True, eq=False)
class Record:
    """One window of a reference: what is kept of its scored rows."""

    right: NDArray[np.float32]
    """[rows]: log-probability of the right token."""
    tail: NDArray[np.float32]
    """[rows]: T."""
    sample_ids: NDArray[np.uint32]
    """[rows * SAMPLE]: tokens drawn from the tail; where it is empty, any."""
    sample_logprobs: NDArray[np.float32]
    """[rows * SAMPLE]: theirs."""
    counts: NDArray[np.uint16]
    """[rows]: kept tokens of each."""
    ids: NDArray[np.uint32]
    """[sum of counts]: the kept tokens, the most likely of each row first."""
    logprobs: NDArray[np.float32]
    """[sum of counts]: theirs."""


def keep(block: NDArray[np.float32], targets: NDArray[np.int32], random: np.random.Generator) -> Record:
    """The record of log-probabilities [rows, vocabulary]."""
    rows, size = block.shape
    most = min(MOST_TOKENS, size)
    tail, counts = np.empty(rows, np.float32), np.empty(rows, np.uint16)
    samples = np.empty((rows, SAMPLE), np.uint32)
    ids, logprobs = [], []
    for number, row in enumerate(block):
        likely = np.argpartition(row, size - most)[size - most :]
        likely = likely[np.lexsort((likely, -row[likely]))]
        others = 1.0 - np.cumsum(np.exp(row[likely].astype(np.float64)))
        count = min(most, int(np.searchsorted(-others, -TAIL)) + 1)
        kept = likely[:count]
        weights = np.exp(row)
        weights[kept] = 0.0
        sums = np.cumsum(weights, dtype=np.float64)
        # A drawn number below the last sum falls on a token that has some probability.
        samples[number] = np.searchsorted(sums, random.random(SAMPLE) * sums[-1], side="right").clip(max=size - 1)
        tail[number], counts[number] = sums[-1], count
        ids.append(kept.astype(np.uint32))
        logprobs.append(row[kept])
    return Record(
        right=block[np.arange(rows), targets],
        tail=tail,
        sample_ids=samples.ravel(),
        sample_logprobs=np.take_along_axis(block, samples.astype(np.intp), axis=1).ravel(),
        counts=counts,
        ids=np.concatenate(ids),
        logprobs=np.concatenate(logprobs),
    )


class Writer:
    """Writes windows in order: `add` for each of a window's blocks, then `end_window`. `reference_writer` makes one."""

    def __init__(self, stream: IO[bytes], header: Header, ids: NDArray[np.int32]) -> None:
        self._stream, self._digest = stream, hashlib.sha256()
        self._records: list[Record] = []
        self._random = np.random.default_rng(0)  # an equal original writes an equal file
        text = json.dumps(asdict(header)).encode()
        self._put(MAGIC)
        self._put(np.uint64(len(text)).astype("<u8").tobytes())
        self._put(text)
        self._put(ids.astype("<i4").tobytes())

    def add(self, block: NDArray[np.float32], targets: NDArray[np.int32]) -> None:
        self._records.append(keep(block, targets, self._random))

    def end_window(self) -> None:
        for name, kind in FIELDS.items():
            self._put(np.concatenate([getattr(record, name) for record in self._records]).astype(kind).tobytes())
        self._records = []

    def finish(self) -> None:
        self._stream.write(self._digest.digest())

    def _put(self, data: bytes) -> None:
        self._digest.update(data)
        self._stream.write(data)


@contextmanager
def reference_writer(path: Path, header: Header, ids: NDArray[np.int32]) -> Iterator[Writer]:
    """A writer whose file is there, complete, when the block ends, and not at all if it fails.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        with atomic(path) as stream:
            writer = Writer(stream, header, ids)
            yield writer
            writer.finish()
    except OSError as error:
        raise UsageError(f"{path} cannot be written.", str(error), "Name another file.") from error
