"""One session and several threads."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from pajamas.errors import PajamasError
from pajamas.features import Feature
from pajamas.testing.asking import Told, ask, read, request
from pajamas.testing.group import UNDECLARED, Group, require

if TYPE_CHECKING:
    from pajamas.types import Session

THREADS = 4
NEAR = 0.5
"""Nats between the best two tokens within which rounding may decide between them."""
LIMIT = 120.0
"""Seconds after which a thread is held to hang."""


class Threads(Group):
    """Requests from several threads."""

    def test_threads_do_not_disturb_each_other(self, session: Session) -> None:
        """Where `parallel` is declared, several threads are answered at once, each as if it were alone.

        Where `exact` is declared too, this holds for exact requests; others may differ where two tokens are as likely.
        """
        if Feature.PARALLEL not in session.features:
            pytest.skip(UNDECLARED)
        exact = Feature.EXACT in session.features
        _ask_together(self.prompt, session, {"exact": exact}, tolerance=0.0)
        if exact:
            _ask_together(self.prompt, session, {"exact": False, "logprobs": 2}, tolerance=NEAR)

    def test_a_second_thread_waits_or_is_refused(self, session: Session) -> None:
        """Where `parallel` is not declared, a second thread waits for its turn or is refused, and disturbs nothing."""
        if Feature.PARALLEL in session.features:
            pytest.skip("parallel is declared")
        other = "Something else: " + self.prompt
        alone = [ask(session, self.prompt), ask(session, other)]
        stream = session.generate(request(self.prompt))
        chunks = [next(iter(stream))]
        second: list[Told | BaseException] = []

        def run(_: int) -> None:
            try:
                second.append(ask(session, other))
            except BaseException as error:  # told of below
                second.append(error)

        thread = threading.Thread(target=run, args=(0,), daemon=True)
        thread.start()
        thread.join(0.2)  # it has begun, and waits, is refused, or does harm
        first = read([*chunks, *stream])
        thread.join(LIMIT)
        require(not thread.is_alive(), "The second thread never gets its turn.", "Free the lock when a stream ends.")
        require(
            first.tokens == alone[0].tokens,
            f"Beside a second thread the answer {alone[0].text!r} becomes {first.text!r}.",
            "Let a second thread wait for a lock that the stream holds from its first token to its end.",
        )
        (told,) = second
        if isinstance(told, PajamasError):
            return
        require(
            isinstance(told, Told) and told.tokens == alone[1].tokens,
            f"The second thread's answer {alone[1].text!r} becomes {told.text if isinstance(told, Told) else told!r}.",
            "Let a second thread wait for a lock, or raise EngineError that says that the session is in use.",
        )


def _ask_together(prompt: str, session: Session, options: dict[str, Any], tolerance: float) -> None:
    prompts = [f"{prompt}{' and so on' * number}" for number in range(THREADS)]
    alone = [ask(session, prompt, **options) for prompt in prompts]
    together: dict[int, Told | BaseException] = {}
    ready = threading.Barrier(THREADS)

    def run(number: int) -> None:
        try:
            stream = session.generate(request(prompts[number], **options))
            chunks = [next(iter(stream))]
            ready.wait(LIMIT)  # every stream is open before any goes on
            together[number] = read([*chunks, *stream])
        except BaseException as error:  # told of below
            ready.abort()
            together[number] = error

    _all(run, THREADS)
    for number, solo in enumerate(alone):
        told = together.get(number)
        seen = told.text if isinstance(told, Told) else repr(told)
        require(
            isinstance(told, Told) and (told.tokens == solo.tokens or _gap(told, solo) < tolerance),
            f"Alone the answer is {solo.text!r}, beside {THREADS - 1} others it is {seen!r}.",
            "Keep what belongs to one request in that request: its tokens, its sampler, its place in the cache. "
            "Or do not declare `parallel`.",
        )


def _gap(told: Told, solo: Told) -> float:
    """Where two answers part: nats between the token of the one and that of the other, as the first sees them."""
    entries = [entry for chunk in solo.chunks for entry in chunk.logprobs]
    for token, entry in zip(told.tokens, entries, strict=False):
        if token != entry.token_id:
            return next((entry.logprob - one.logprob for one in entry.top if one.token_id == token), math.inf)
    return math.inf


def _all(run: Callable[[int], None], count: int) -> None:
    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
