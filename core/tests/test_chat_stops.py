"""Stop strings end the answer of a thinking model, and not its reasoning."""

from __future__ import annotations

import pytest
from attrs import evolve

from pajamas.operations.generation import join, stream
from pajamas.plugins import PluginHost
from pajamas.types import GenerateRequest
from pajamas_echo.session import EchoSession


class Thinker(EchoSession):
    """It echoes, and its template knows of reasoning."""

    chat_template = "{% if false %}<think>{% endif %}{{ messages[-1]['content'] }}"
    closed = False

    def _answer(self, request, tokens, limit):
        try:
            yield from super()._answer(request, tokens, limit)
        finally:
            self.closed = True


@pytest.fixture(scope="module")
def host():
    return PluginHost()


def answer(session, host, text, **options):
    return join(stream(session, GenerateRequest(prompt=text, **options), host=host))


@pytest.mark.parametrize(
    ("text", "reasoning", "answered", "reason"),
    [
        ("<think>a STOP b</think>c STOP d", "a STOP b", "c ", "stop"),
        ("<think>a STOP b</think>c STO", "a STOP b", "c STO", "stop"),
        ("<think>a STOP b", "a STOP b", "", "stop"),
        ("STOP<think>a</think>", "", "", "stop"),
        ("c ST STOP", "", "c ST ", "stop"),
    ],
)
def test_they_are_looked_for_in_the_answer_alone(host, text, reasoning, answered, reason):
    session = Thinker(1000)

    found = answer(session, host, text, stop=("STOP",))

    assert (found.reasoning, found.text, found.finish_reason) == (reasoning, answered, reason)
    assert found.usage.prompt_tokens == len(text) + 1
    assert found.usage.completion_tokens == len(found.token_ids)
    assert session.closed


def test_what_came_from_a_cache_is_told_though_the_last_chunk_is_not_read(host):
    class Remembering(Thinker):
        def _answer(self, request, tokens, limit):
            first, *rest = super()._answer(request, tokens, limit)
            yield evolve(first, cached_tokens=7)
            yield from rest

    found = answer(Remembering(1000), host, "one STOP two", stop=("STOP",))

    assert (found.text, found.usage.cached_tokens) == ("one ", 7)


def test_what_comes_after_is_not_computed(host):
    found = answer(Thinker(1000), host, "one STOP" + "x" * 100, stop=("STOP",))

    assert len(found.token_ids) == len("one STOP")


def test_an_answer_that_is_cut_off_keeps_what_was_held_back(host):
    found = answer(Thinker(1000), host, "one STOP", stop=("STOP",), max_tokens=6)

    assert (found.text, found.finish_reason) == ("one ST", "length")


def test_a_model_that_never_thinks_is_given_them(host):
    found = answer(EchoSession(1000), host, "<think>a STOP b</think>c", stop=("STOP",))

    assert (found.reasoning, found.text) == ("a ", "")
