"""What prompts have in common is computed once: after one another, at once, and within the room that there is."""

from __future__ import annotations

import pytest

from batching_rules import answer, prompt_of, request, together, tokens_of
from pajamas_gguf.batching.portions import worth_reusing

SYSTEM = "<|im_start|>system\n" + "The cat and the dog live by the river. " * 40 + "<|im_end|>\n"


@pytest.fixture
def fresh(tiny_q4, load_session):
    return load_session(tiny_q4)


def asked(session, prompt, **fields):
    """Tokens of the answer, and the usage."""
    chunks = list(session.generate(request(prompt, **{"max_tokens": 8, **fields})))
    return tokens_of(chunks), chunks[-1].usage


def test_a_system_prompt_is_computed_once_for_many_conversations(fresh):
    shared = len(fresh.tokenize(SYSTEM))
    prompts = [SYSTEM + prompt_of(number) for number in range(5)]
    wanted = [asked(fresh, prompt, cache_prompt=False)[0] for prompt in prompts]
    found = [asked(fresh, prompt) for prompt in prompts]

    assert [usage.cached_tokens >= shared for _, usage in found] == [False] + [True] * 4
    assert [tokens[:2] for tokens, _ in found] == [tokens[:2] for tokens in wanted]


def test_requests_that_come_at_once_wait_for_what_they_have_in_common(fresh):
    long = SYSTEM * 4  # takes several steps, in which the others come
    shared = len(fresh.tokenize(long))
    found = together(5, lambda number: asked(fresh, long + prompt_of(number)))

    assert shared > 1024
    computed = sum(usage.prompt_tokens - usage.cached_tokens for _, usage in found)
    assert computed < shared + 5 * 64


def test_an_earlier_turn_is_not_computed_again_though_others_were_between(fresh):
    first, usage = asked(fresh, prompt_of(1, words=120))
    for number in range(2, 6):
        asked(fresh, prompt_of(number, words=60))
    follow_up = prompt_of(1, words=120) + fresh.detokenize(first) + "<|im_end|>\n" + prompt_of(9)
    _, again = asked(fresh, follow_up)

    assert again.cached_tokens >= usage.prompt_tokens


def test_the_longest_unused_is_forgotten_first(tiny_q4, load_session):
    session = load_session(tiny_q4, max_sequences=3)
    for number in range(3):
        asked(session, prompt_of(number, words=60))
    asked(session, prompt_of(0, words=60) + " more")  # used again
    asked(session, prompt_of(7, words=60))  # takes the place of the oldest, which is 1
    cached = {number: asked(session, prompt_of(number, words=60))[1].cached_tokens for number in (0, 1)}

    assert cached[0] > 50 and cached[1] < 30


def test_a_running_answer_is_a_beginning_for_others(fresh):
    stream = fresh.generate(request(SYSTEM + prompt_of(1), max_tokens=200))
    next(stream)
    _, usage = asked(fresh, SYSTEM + prompt_of(2))
    rest = list(stream)

    assert usage.cached_tokens >= len(fresh.tokenize(SYSTEM))
    assert len(tokens_of(rest)) == 199


def test_kept_prompts_give_way_to_what_needs_their_cells(tiny_q4, load_session):
    session = load_session(tiny_q4, context_length=600)
    for number in range(6):
        asked(session, prompt_of(number, words=90))
    tokens, usage = asked(session, prompt_of(9, words=270), max_tokens=20)

    assert usage.prompt_tokens > 450 and len(tokens) == 20


def test_what_nobody_wants_kept_takes_no_cells(fresh):
    """They would slow down everybody's attention."""
    together(4, lambda number: answer(fresh, prompt_of(number), cache_prompt=False))
    lane = fresh._scheduler.lanes[0]

    assert lane._cells.free == lane.context.cells


def test_cells_are_counted_as_the_engine_counts_them(fresh):
    """After any mix of answers nothing is taken but what idle sequences hold, and all of it can be freed."""
    together(9, lambda number: answer(fresh, (SYSTEM if number % 2 else "") + prompt_of(number, words=number * 20)))
    lane = fresh._scheduler.lanes[0]
    held = {cell for sequence in lane._idle for cell in sequence._taken}

    assert lane._cells.free == lane.context.cells - len(held)
    assert all(len(sequence._taken) == len(sequence.tokens) for sequence in lane._idle)
    for sequence in lane._idle:
        sequence.clear()
        assert lane.context.first_position(sequence.number) == -1
    assert lane._cells.free == lane.context.cells


def test_an_exact_answer_reuses_whole_pieces_only(fresh):
    prompt = SYSTEM * 2 + prompt_of(3)
    wanted, usage = asked(fresh, prompt, exact=True)
    again, reused = asked(fresh, prompt, exact=True)

    assert usage.prompt_tokens > 600 and usage.cached_tokens == 0
    assert reused.cached_tokens == 512 * (usage.prompt_tokens // 512)
    assert again == wanted


def test_a_prompt_cache_is_saved_and_restored_beside_running_answers(fresh, tiny_q4, load_session, tmp_path):
    stream = fresh.generate(request(prompt_of(5), max_tokens=300))
    next(stream)
    asked(fresh, SYSTEM + prompt_of(1))
    fresh.save_prompt_cache(tmp_path / "cache")
    other = load_session(tiny_q4)
    beside = other.generate(request(prompt_of(6), max_tokens=300))
    next(beside)
    count = other.load_prompt_cache(tmp_path / "cache")
    _, usage = asked(other, SYSTEM + prompt_of(1))

    assert count == usage.prompt_tokens + 7 and usage.cached_tokens == usage.prompt_tokens - 1
    assert len(tokens_of(stream)) == len(tokens_of(beside)) == 299


def test_scoring_beside_running_answers(fresh):
    window = fresh.tokenize(SYSTEM)
    alone = [block.copy() for block in fresh.score(window)]
    stream = fresh.generate(request(prompt_of(5), max_tokens=60, exact=True))
    wanted = answer(fresh, prompt_of(5), max_tokens=60, exact=True)
    found = [next(stream)]
    for mine, block in zip(alone, fresh.score(window), strict=True):
        found.append(next(stream))
        assert (mine == block).all()

    assert tokens_of([*found, *stream]) == wanted


def test_some_tokens_are_computed_again_where_that_is_faster():
    assert [worth_reusing(1000, 1000 + new) for new in (1, 24, 50, 64, 300)] == [1000, 1000, 986, 1000, 1000]
    assert worth_reusing(300, 350) == 300
