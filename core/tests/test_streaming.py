"""Text out of bytes: characters split over tokens, and stop strings split anywhere."""

from __future__ import annotations

import itertools

from pajamas.streaming import StreamText


def feed(pieces, stop=()):
    stream = StreamText(stop)
    texts = []
    for piece in pieces:
        texts.append(stream.feed(piece))
        if stream.stopped:
            break
    return [*texts, stream.finish()], stream.stopped


def test_a_character_comes_whole_however_it_is_split():
    data = "aß世🦙e\u0301".encode()
    for cut in itertools.combinations(range(1, len(data)), 3):
        pieces = [data[begin:end] for begin, end in itertools.pairwise((0, *cut, len(data)))]
        texts, _ = feed(pieces)

        assert "".join(texts) == data.decode()
        assert "\ufffd" not in "".join(texts)


def test_bytes_that_are_no_text_are_replaced():
    assert "".join(feed([b"a\xff", b"b"])[0]) == "a\ufffdb"
    assert feed([b"a", b"\xf0\x9f"])[0] == ["a", "", "\ufffd"]


def test_a_stop_string_is_found_however_it_is_split():
    data = b"one two STOP three"
    for size in range(1, len(data)):
        pieces = [data[place : place + size] for place in range(0, len(data), size)]
        texts, stopped = feed(pieces, stop=("STOP", "never"))

        assert ("".join(texts), stopped) == ("one two ", True)


def test_text_is_held_back_only_while_it_may_become_a_stop_string():
    texts, stopped = feed([b"ab", b"ab", b"c", b"a"], stop=("abac",))

    assert texts == ["", "ab", "abc", "", "a"]
    assert not stopped


def test_the_earliest_stop_string_wins():
    assert "".join(feed([b"x END y STOP"], stop=("STOP", "END"))[0]) == "x "
    assert "".join(feed([b"aab"], stop=("aab", "a"))[0]) == ""


def test_an_empty_stop_string_stops_nothing():
    assert feed([b"a", b"b"], stop=("",)) == (["a", "b", ""], False)


def test_a_stop_string_of_several_bytes_a_character():
    data = "eins 世界 zwei".encode()
    texts, stopped = feed([data[place : place + 1] for place in range(len(data))], stop=("世界",))

    assert ("".join(texts), stopped) == ("eins ", True)
