"""Requests to the bundled model for tests of many at once, and what they are answered."""

from __future__ import annotations

import threading

from pajamas.types import GenerateRequest, Sampling

GREEDY = Sampling(temperature=0)
LIMIT = 120


def prompt_of(number, words=0):
    """A question, after so many words of a story."""
    story = " ".join(f"The {word}th cat saw dog {number}." for word in range(words // 6))
    return f"<|im_start|>user\n{story}What is {number}+{number + 1}?<|im_end|>\n<|im_start|>assistant\n"


def request(prompt, **fields):
    return GenerateRequest(**{"prompt": prompt, "sampling": GREEDY, "max_tokens": 24, "ignore_eos": True, **fields})


def tokens_of(chunks):
    return [token for chunk in chunks for token in chunk.token_ids]


def answer(session, prompt, **fields):
    return tokens_of(session.generate(request(prompt, **fields)))


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
