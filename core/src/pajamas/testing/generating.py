"""What a session's stream of an answer must be."""

from __future__ import annotations

import math
import time
import unicodedata
from typing import TYPE_CHECKING

import pytest

from pajamas.errors import ContextOverflow, PajamasError
from pajamas.features import Feature
from pajamas.testing.asking import Told, ask, read, request
from pajamas.testing.group import UNDECLARED, Group, require

if TYPE_CHECKING:
    from pajamas.backend import Backend
    from pajamas.types import Artifact, Session

LEAST = 8
"""Tokens that the answer to the class's prompt must have for the rules to mean something."""
TRICKY = (
    "Hello", " two  spaces ", "line\nline\r\n\ttab", "Grüße, naïve café", "世界 こんにちは", "🦆👩‍👩‍👧 🇫🇷",
    "e\u0301 ñ", "x = {'a': [1]}",
)  # fmt: skip
_TRIES = 3


class Generating(Group):
    """The stream of one answer."""

    @pytest.fixture(scope="class")
    @classmethod
    def told(cls, session: Session) -> Told:
        """The greedy answer to the class's prompt, which other rules are held against."""
        told = ask(session, cls.prompt)
        if len(told.tokens) < LEAST:
            pytest.skip(f"the answer has {len(told.tokens)} tokens: see test_the_prompt_is_answered")
        return told

    def test_the_prompt_is_answered(self, session: Session) -> None:
        """The class's prompt gets an answer of some tokens, which the other rules about answers need."""
        told = ask(session, self.prompt)
        require(
            len(told.tokens) >= LEAST,
            f"At temperature 0 the answer to {self.prompt!r} is {told.text!r}: {len(told.tokens)} tokens.",
            f"Set `prompt` in the test class to a text that this model answers with {LEAST} tokens or more, and let "
            "every chunk carry the ids of its tokens.",
        )

    def test_the_stream_is_lazy(self, session: Session, told: Told) -> None:
        """Where `stream` is declared, the first piece comes long before the last one is computed."""
        if Feature.STREAM not in session.features:
            pytest.skip(UNDECLARED)
        texts = [chunk for chunk in told.chunks if chunk.token_ids]
        require(
            len(texts) > 1,
            f"All {len(told.tokens)} tokens come in one chunk.",
            "Yield a chunk as soon as its tokens are known.",
        )
        shares = []
        for _ in range(_TRIES):
            began = time.perf_counter()
            stream = session.generate(request(self.prompt))
            next(iter(stream))
            first = time.perf_counter() - began
            for _ in stream:
                pass
            shares.append(first / (time.perf_counter() - began))
            if shares[-1] < 0.5:
                return
        require(
            False,
            f"The first chunk comes after {min(shares):.0%} of the whole time.",
            "Make `generate` a generator function, or return an iterator that computes a token when asked for one.",
        )

    def test_the_pieces_make_the_answer(self, session: Session, told: Told) -> None:
        """The pieces of text joined are the whole answer: what its tokens say, nothing lost and nothing twice."""
        whole = session.detokenize(list(told.tokens))
        require(
            told.text.strip() == whole.strip(),
            f"The pieces joined are {told.text!r}, and the tokens say {whole!r}.",
            "Use pajamas.streaming.StreamText: feed it each token's bytes, and end with its finish().",
        )

    def test_characters_are_whole(self, session: Session) -> None:
        """A character whose bytes are spread over tokens comes whole: no piece ends within one."""
        for prompt in (TRICKY[5] * 3, TRICKY[4] * 3, self.prompt + " 🦆"):
            told = ask(session, prompt)
            broken_off = session.detokenize(list(told.tokens)).count("\ufffd")  # by the model, or by max_tokens
            require(
                told.text.count("\ufffd") <= broken_off,
                f"Pieces of {told.text!r} hold the replacement character.",
                "Decode bytes incrementally: pajamas.streaming.StreamText does it.",
            )

    def test_only_the_last_chunk_ends_it(self, told: Told) -> None:
        """The last chunk, and only that one, has the reason for the end and the usage."""
        ends = [number for number, chunk in enumerate(told.chunks) if chunk.finish_reason or chunk.usage]
        last = told.chunks[-1]
        require(
            ends == [len(told.chunks) - 1] and last.finish_reason is not None and last.usage is not None,
            f"Of {len(told.chunks)} chunks these end the answer: {ends}; the last one has finish_reason "
            f"{last.finish_reason!r} and usage {last.usage!r}.",
            "Yield a last chunk with finish_reason and usage, and leave both out of all others.",
        )

    def test_usage_counts_the_tokens(self, session: Session, told: Told) -> None:
        """The usage counts the tokens of the prompt and of the answer."""
        usage = told.chunks[-1].usage
        if usage is None:
            pytest.skip("there is no usage: see test_only_the_last_chunk_ends_it")
        expected = (len(session.tokenize(self.prompt)), len(told.tokens))
        require(
            (usage.prompt_tokens, usage.completion_tokens) == expected,
            f"The usage says {usage.prompt_tokens} and {usage.completion_tokens}, and the tokens are {expected[0]} and "
            f"{expected[1]}.",
            "Count the tokens of the prompt as `tokenize` gives them, and those that the chunks carry.",
        )

    def test_temperature_0_repeats(self, session: Session, told: Told) -> None:
        """At temperature 0 the same request gets the same answer, whatever was asked in between."""
        ask(session, "Something else, to be in the way", max_tokens=3)
        again = ask(session, self.prompt)
        require(
            again.tokens == told.tokens,
            f"First the answer is {told.text!r}, then {again.text!r}.",
            "Temperature 0 is the arg-max. Look for what one request leaves behind for the next.",
        )

    def test_a_seed_repeats(self, session: Session) -> None:
        """With a seed the same request gets the same answer, and other seeds get others."""
        if Feature.SEED not in session.features:
            pytest.skip(UNDECLARED)
        options = {"temperature": 2.0, "max_tokens": 24}
        answers = [ask(session, self.prompt, seed=seed, **options).tokens for seed in (1, 2, 3, 4, 1)]
        require(
            answers[0] == answers[-1],
            "Two requests with seed 1 are answered differently.",
            "Draw every random number of a request from one generator that its seed starts.",
        )
        require(
            len(set(answers)) > 1,
            "At temperature 2 four seeds give one and the same answer.",
            "Hand the seed to the sampler, and draw by it.",
        )

    def test_closing_early_frees_the_session(self, session: Session, told: Told) -> None:
        """A stream that is closed early frees the session at once: the next request works, and is not changed by it."""
        for taken in (0, 1, 3):
            stream = session.generate(request("A long one: " + self.prompt, max_tokens=200))
            for _, _ in zip(range(taken), stream, strict=False):
                pass
            require(
                callable(getattr(stream, "close", None)),
                "The stream has no close().",
                "Return a generator, or an iterator with close().",
            )
            stream.close()  # type: ignore[attr-defined]  # looked for above
            again = ask(session, self.prompt)
            require(
                again.tokens == told.tokens,
                f"After a stream was closed at its chunk {taken}, the answer {told.text!r} becomes {again.text!r}.",
                "Undo in the stream's `finally` what it has taken: sequences, cache cells, locks.",
            )

    def test_max_tokens_is_obeyed(self, session: Session, told: Told) -> None:
        """An answer has at most `max_tokens` tokens, and says "length" when it was cut, "stop" when it was not."""
        for most in (1, 2, len(told.tokens) - 1):
            cut = ask(session, self.prompt, max_tokens=most)
            require(
                cut.tokens == told.tokens[:most] and cut.reason == "length",
                f"With max_tokens={most} the answer has {len(cut.tokens)} tokens and ends by {cut.reason!r}.",
                'Stop after that many with finish_reason "length"; the token that ends an answer does not count.',
            )
        most = min(400, session.context_length // 2)
        ended = ask(session, self.prompt, max_tokens=most)
        require(
            len(ended.tokens) == most or ended.reason == "stop",
            f"The model ends the answer after {len(ended.tokens)} of {most} tokens, by {ended.reason!r}.",
            'Say "stop" where the model ends an answer.',
        )

    def test_stop_strings_are_obeyed(self, session: Session, told: Told) -> None:
        """The answer ends before a stop string, also one that spans tokens, and says "stop"."""
        text = told.text
        starts = {len(text) // 3, len(text) // 2, 1}
        for stop in dict.fromkeys(text[start : start + 5] for start in sorted(starts)):
            cut = ask(session, self.prompt, stop=(stop, "never said \u2603"))
            expected = text[: text.index(stop)]
            require(
                cut.text == expected and cut.reason == "stop",
                f"With the stop string {stop!r} the answer to {self.prompt!r} is {cut.text!r} ({cut.reason}), not "
                f"{expected!r}.",
                "Hold back text that may begin a stop string: pajamas.streaming.StreamText does it, with `stop`.",
            )
        going_on = ask(session, self.prompt, stop=(text[-3:] + "\u2603",))
        require(
            going_on.text == text,
            f"With a stop string that is not said, the answer is {going_on.text!r}.",
            "Give out at the end what was held back: StreamText.finish().",
        )

    def test_logit_bias_is_obeyed(self, session: Session, told: Told) -> None:
        """A token with a bias of -inf is never chosen, and one with a large bias always."""
        if Feature.LOGIT_BIAS not in session.features:
            pytest.skip(UNDECLARED)
        first = told.tokens[0]
        without = ask(session, self.prompt, logit_bias={first: -math.inf})
        require(
            first not in without.tokens,
            f"The token {first} has a bias of -inf, and is chosen {without.tokens.count(first)} times.",
            "Add the bias to the logit before anything is sampled, at temperature 0 too.",
        )
        wanted = next((token for token in told.tokens if token != first), first)
        only = ask(session, self.prompt, logit_bias={wanted: 1000.0}, max_tokens=3)
        require(
            only.tokens == (wanted,) * 3,
            f"The token {wanted} has a bias of 1000, and the answer is {only.tokens}.",
            "Add the bias to the logit before anything is sampled, at temperature 0 too.",
        )

    def test_a_prompt_that_is_too_long_is_refused(self, session: Session) -> None:
        """A prompt that does not fit raises `ContextOverflow` with both numbers, before anything is computed."""
        size = session.context_length
        tokens = session.tokenize(self.prompt) * (size // LEAST + 1)
        for count in (size + 1, size):
            stream = None
            try:
                stream = session.generate(request(None, token_ids=tuple(tokens[:count]), max_tokens=1))
                told = read(stream)
            except ContextOverflow as error:
                words = str(error).replace(",", "").replace("\u202f", "").replace("_", "")
                require(
                    str(size) in words,
                    f"The message does not name the context's {size} tokens: {error}",
                    "Say how many tokens the prompt has, and how many the context holds.",
                )
                continue
            except Exception as error:  # whatever it is, it is not the error for this
                seen = f"raises {type(error).__name__}: {error}"
            else:
                seen = f"is answered with {len(told.tokens)} tokens"
            require(
                False,
                f"A prompt of {count} tokens in a context of {size}, which leaves no room for an answer, {seen}.",
                "Compare the prompt's length with the context first, and raise ContextOverflow.",
            )

    def test_token_ids_are_a_prompt_too(self, session: Session, told: Told) -> None:
        """A prompt given as token ids gets the answer that its text gets."""
        tokens = tuple(session.tokenize(self.prompt))
        again = ask(session, None, token_ids=tokens)
        require(
            again.tokens == told.tokens,
            f"The text gets {told.text!r}, and its {len(tokens)} tokens get {again.text!r}.",
            "Take token_ids as they are; a prompt's text is what `tokenize` makes of it.",
        )
        letters = tuple(token for letter in self.prompt[:20] for token in session.tokenize(letter, add_special=False))
        usage = ask(session, None, token_ids=letters, max_tokens=1).chunks[-1].usage
        counted = usage.prompt_tokens if usage else len(letters)
        require(
            counted == len(letters),
            f"A text given as {len(letters)} tokens, letter by letter, counts as {counted}.",
            "Take token_ids as they are: never make text of them to tokenize it again.",
        )

    def test_a_text_survives_its_tokens(self, session: Session) -> None:
        """`detokenize` gives back what `tokenize` was given, as long as the vocabulary can say it."""
        for text in TRICKY:
            tokens = session.tokenize(text, add_special=False)
            back = session.detokenize(tokens)
            require(
                unicodedata.normalize("NFC", back).strip() == unicodedata.normalize("NFC", text).strip(),
                f"{text!r} becomes {back!r}.",
                "Join the bytes of all tokens, and decode them at the end.",
            )
        require(
            session.tokenize("", add_special=False) == [] and session.detokenize([]) == "",
            "The empty text is not empty.",
            "Return [] and '' for it.",
        )

    def test_a_closed_session_says_so(self, registered: Backend, artifact: Artifact, session: Session) -> None:
        """A session can be closed twice, and what it cannot do any more it refuses with a `PajamasError`."""
        closed = registered.load(artifact, self.load_options)
        closed.close()
        closed.close()
        try:
            read(closed.generate(request(self.prompt, max_tokens=1)))
        except PajamasError:
            return
        except Exception as error:  # whatever it is, it is not the error for this
            require(
                False,
                f"A closed session raises {type(error).__name__}: {error}",
                "Raise EngineError, which says that it is closed.",
            )
