"""Knowing a text again by the print of its lines."""

from __future__ import annotations

import json

import pytest

from pajamas.text_overlap import LinePrint, long_lines, mostly_same


def text_of(first, last):
    return "\n".join(f"This is line number {number} of a text." for number in range(first, last))


def read_again(text):
    return LinePrint.read(json.loads(json.dumps(LinePrint.of(text).record())))


@pytest.mark.parametrize("count", [10, 1024, 9000])
def test_a_part_is_known_again(count):
    print_ = read_again(text_of(0, count))

    assert print_.lines == count
    for text, same in (
        (text_of(0, count), True),
        (text_of(0, count).replace(" ", "   ").replace("\n", "\r\n\n"), True),
        (text_of(count * 2 // 5, count + count * 2 // 5), True),
        (text_of(0, count) + text_of(10**6, 10**6 + 3 * count), True),  # mixed into a longer one
        (text_of(count // 3, count), True),
        (text_of(count * 3 // 5, count + count * 3 // 5), False),
        (text_of(count, 2 * count), False),
        ("", False),
    ):
        assert print_.is_mostly(text) is same


def test_the_estimate_above_the_size_of_the_sample():
    found = LinePrint.of(text_of(0, 20_000)).shared_lines(text_of(0, 5000))

    assert abs(found - 5000) < 4 * 20_000 * (0.25 * 0.75 / 1024) ** 0.5


def test_a_text_of_short_lines_is_known_by_all_of_it():
    print_ = read_again("Short.\nLines.")

    assert (print_.lines, print_.is_mostly(" Short.\n\nLines.\n"), print_.is_mostly("Short.")) == (0, True, False)
    assert long_lines("Short.\n" + 24 * "x") == {24 * "x"}
    assert not mostly_same(0, 0, 0)


def test_conversations_count_as_what_is_said():
    lines = text_of(0, 100).splitlines()
    told = "\n".join(json.dumps({"messages": [{"role": "user", "content": line + "\n"}]}) for line in lines)

    assert LinePrint.of(told) == LinePrint.of(text_of(0, 100))
    for odd in ('{"messages": 5}', '{"messages": [{"content": 5}]}', '{"messages": [', '{"messages": ' + "[" * 10**5):
        assert long_lines(odd + " " * 30) == ({odd} if len(odd) >= 24 else set())


def test_the_size_of_a_record():
    assert len(json.dumps(LinePrint.of(text_of(0, 50_000)).record())) < 13_000


@pytest.mark.parametrize(
    "record",
    [None, [], {}, {"text_sha256": 1, "lines": 2, "sample": ""}, {"text_sha256": "a", "lines": 0, "sample": "b" * 12}],
)
def test_what_is_no_record(record):
    assert LinePrint.read(record) is None
