"""What holds of every session that computes the answers of several threads together.

A backend's test module has a class that inherits `BatchingRules`, and two fixtures: `load_many`, a function that loads
the bundled model with options, and `many`, a session that answers eight at once.
"""

from __future__ import annotations

import math
import threading

import pytest

from pajamas.errors import EngineError
from pajamas.types import GenerateRequest, Sampling

LIMIT = 120
GREEDY = Sampling(temperature=0)


def prompt_of(number, words=0):
    """A question, after about so many words of a story."""
    story = " ".join(f"The {word}th cat saw dog {number}." for word in range(words // 6))
    return f"<|im_start|>user\n{story}What is {number}+{number + 1}?<|im_end|>\n<|im_start|>assistant\n"


def request(prompt, **fields):
    return GenerateRequest(**{"prompt": prompt, "sampling": GREEDY, "max_tokens": 24, "ignore_eos": True, **fields})


def tokens_of(chunks):
    return [token for chunk in chunks for token in chunk.token_ids]


def answer(session, prompt, **fields):
    return tokens_of(session.generate(request(prompt, **fields)))


def running(session):
    """How many jobs have a place."""
    return sum(len(lane.jobs) for lane in session._scheduler.lanes)


def together(count, run):
    """What `run(number)` returns or raises, for each number, from as many threads that begin at once."""
    found = [None] * count
    ready = threading.Barrier(count)

    def one(number):
        ready.wait(LIMIT)
        try:
            found[number] = run(number)
        except Exception as error:  # the test looks at it
            found[number] = error

    threads = [threading.Thread(target=one, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    return found


class BatchingRules:
    @pytest.mark.parametrize("sampling", [GREEDY, Sampling(temperature=1.5, seed=5)], ids=["greedy", "seeded"])
    def test_exact_answers_of_eight_threads_are_those_of_solo_runs(self, load_many, many, sampling):
        alone = load_many(max_sequences=1)
        prompts = [prompt_of(number, words=number * 40) for number in range(8)]
        fields = {"sampling": sampling, "exact": True}
        wanted = [answer(alone, prompt, cache_prompt=False, **fields) for prompt in prompts]

        def run(number):
            if number % 4 == 3:  # some that are computed together, beside them
                answer(many, prompts[number], max_tokens=40)
            return answer(many, prompts[number], **fields)

        assert together(8, run) == wanted

    def test_answers_that_are_computed_together_are_not_mixed_up(self, many):
        """Short and long prompts and answers; each begins as alone. (Later on a near-tie may fall the other way.)"""
        prompts = [prompt_of(number, words=(number % 3) * 120) for number in range(12)]
        lengths = [3 + 5 * (number % 4) for number in range(12)]
        wanted = [answer(many, prompt, cache_prompt=False) for prompt in prompts]
        found = together(12, lambda number: answer(many, prompts[number], max_tokens=lengths[number]))

        assert [len(tokens) for tokens in found] == lengths
        assert [tokens[:2] for tokens in found] == [tokens[:2] for tokens in wanted]
        assert running(many) == 0

    def test_answers_are_computed_in_common_steps(self, many):
        streams = [many.generate(request(prompt_of(number), max_tokens=40)) for number in range(6)]
        for stream in streams:
            next(stream)
        before = many._scheduler.steps
        rest = [list(stream) for stream in streams]

        assert [len(tokens_of(chunks)) for chunks in rest] == [39] * 6
        assert many._scheduler.steps - before <= 42

    def test_closing_early_frees_the_place_at_once(self, many):
        streams = [many.generate(request(prompt_of(number), max_tokens=2000)) for number in range(8)]
        for stream in streams:
            next(stream)
        assert running(many) == 8

        for stream in streams[:5]:
            stream.close()
        assert running(many) == 3
        del stream, streams
        assert len(answer(many, prompt_of(3))) == 24
        assert running(many) == 0

    def test_a_row_that_cannot_be_sampled_fails_its_request_only(self, many):
        impossible = dict.fromkeys(range(4096), -math.inf)
        kinds = [{"sampling": Sampling(temperature=0, logit_bias=impossible)}, {}, {}]
        found = together(3, lambda number: answer(many, prompt_of(number), **kinds[number]))

        assert isinstance(found[0], EngineError) and "No token" in found[0].what
        assert [len(tokens) for tokens in found[1:]] == [24, 24]

    def test_one_more_than_may_wait_is_refused(self, load_many):
        session = load_many(max_sequences=1)
        session._scheduler._most_waiting = 2
        open_one = session.generate(request(prompt_of(0)))
        next(open_one)
        found = together(6, lambda number: answer(session, prompt_of(number), max_tokens=200))

        refused = [one for one in found if isinstance(one, EngineError)]
        assert len(refused) >= 1 and all("max_sequences" in error.fix for error in refused)
        assert [len(one) for one in found if not isinstance(one, EngineError)] == [200] * (6 - len(refused))

    def test_a_reader_who_does_not_come_back_holds_up_nobody(self, load_many):
        session = load_many(max_sequences=2, context_length=1024)
        requests = [request(prompt_of(number), max_tokens=200, exact=number == 2) for number in range(3)]
        open_ones = [session.generate(one) for one in requests]
        firsts = [next(stream) for stream in open_ones]
        wanted = answer(session, prompt_of(2), max_tokens=200, exact=True)

        assert len(answer(session, prompt_of(7))) == 24
        for number, stream in enumerate(open_ones):
            tokens = tokens_of([firsts[number], *stream])
            assert len(tokens) == 200
            assert number != 2 or tokens == wanted  # computed again, and exactly so

    def test_closing_the_session_ends_all_answers(self, load_many):
        session = load_many()
        begun = threading.Barrier(9)

        def run(number):
            stream = session.generate(request(prompt_of(number), max_tokens=None))
            chunks = [next(stream)]
            begun.wait(LIMIT)
            return [*chunks, *stream][-1].finish_reason

        closer = threading.Thread(target=lambda: (begun.wait(LIMIT), session.close()), daemon=True)
        closer.start()
        assert set(together(8, run)) == {"cancelled"}
        closer.join(LIMIT)
        assert not closer.is_alive()
