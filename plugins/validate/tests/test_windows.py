"""How a text is cut into windows."""

from __future__ import annotations

import numpy as np
import pytest

from pajamas.errors import UsageError
from pajamas_validate.windows import Tokens, cut, tokenize


class Words:
    """FAKE vocabulary: a letter is its code; special tokens 1 before and 2 behind a text, as they are asked for."""

    def __init__(self, before=(), behind=()):
        self.before, self.behind = list(before), list(behind)

    def tokenize(self, text, *, add_special=True, parse_special=True):
        assert not parse_special  # special tokens written in a text are plain text
        ids = [ord(letter) for letter in text]
        return [*self.before, *ids, *self.behind] if add_special else ids


def tokens(count, prefix=()):
    return Tokens(ids=np.arange(100, 100 + count, dtype=np.int32), prefix=prefix)


@pytest.mark.parametrize(
    ("before", "behind", "ids"),
    [((), (), [97, 98]), ((1,), (), [1, 97, 98]), ((1,), (2,), [1, 97, 98]), ((), (2,), [97, 98])],
)
def test_what_the_vocabulary_adds_is_found_and_an_end_is_left_out(before, behind, ids):
    found = tokenize(Words(before, behind), "ab")

    assert found.ids.tolist() == ids
    assert found.prefix == before


def test_windows_follow_each_other_and_the_rest_is_not_used():
    windows = cut(tokens(35), 10)

    assert (windows.count, windows.available) == (3, 3)
    assert windows.ids(0) == list(range(100, 110))
    assert windows.ids(2) == list(range(120, 130))


def test_the_second_half_is_scored():
    windows = cut(tokens(1024), 512)

    assert (windows.first, windows.rows) == (256, 255)
    assert windows.targets(1).tolist() == list(range(100 + 512 + 257, 100 + 1024))


def test_an_odd_window_is_split_as_llama_perplexity_splits_it():
    windows = cut(tokens(11), 11)

    assert (windows.first, windows.rows) == (5, 5)
    assert windows.targets(0).tolist() == [106, 107, 108, 109, 110]


def test_a_bos_replaces_the_first_token_of_every_window_but_not_of_the_targets():
    windows = cut(tokens(20, prefix=(1,)), 10)

    assert windows.ids(1) == [1, *range(111, 120)]
    assert windows.ids(0) == [1, *range(101, 110)]
    assert windows.tokens.ids[10] == 110


def test_a_limit_takes_the_first_windows():
    assert cut(tokens(100), 10, 4).count == 4
    assert cut(tokens(100), 10, 40).count == 10
    assert cut(tokens(100), 10, 4).available == 10


@pytest.mark.parametrize(("count", "context", "limit"), [(9, 10, None), (100, 3, None), (100, 10, 0), (0, 512, 1)])
def test_what_makes_no_window_is_refused(count, context, limit):
    with pytest.raises(UsageError):
        cut(tokens(count), context, limit)


def test_the_digest_tells_everything_apart_that_decides_what_is_scored():
    base = cut(tokens(100), 10, 4)
    others = [cut(tokens(100), 10, 5), cut(tokens(100), 20, 2), cut(tokens(100, prefix=(1,)), 10, 4)]
    changed = tokens(100)
    changed.ids[39] = 7
    others.append(cut(changed, 10, 4))
    changed = tokens(100)
    changed.ids[40] = 7

    assert len({base.digest, *(other.digest for other in others)}) == 5
    assert cut(changed, 10, 4).digest == base.digest
