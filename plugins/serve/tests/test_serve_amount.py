"""Requests and answers of many megabytes: bounded, or read and made where they keep nobody waiting."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
from pydantic import ValidationError

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize(
    "path, body",
    [
        ("/v1/chat/completions",
         {"messages": HELLO, "n": 128, "max_tokens": 200, "logprobs": True, "top_logprobs": 20}),
        ("/v1/chat/completions", {"messages": HELLO, "n": 64, "logprobs": True, "top_logprobs": 2}),
        ("/v1/completions", {"prompt": ["a"] * 64, "n": 2, "max_tokens": 100, "logprobs": 50}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_without_measure_is_refused(tiny, path, body, stream):
    status, _, answer = tiny.post(path, {**body, "stream": stream})
    assert (status, answer["error"]["param"]) == (400, "logprobs"), answer
    assert "262,144" in answer["error"]["message"]


def test_an_answer_of_some_size_is_whole(tiny):
    body = {"messages": HELLO, "n": 8, "max_tokens": 200, "logprobs": True, "top_logprobs": 4, "ignore_eos": True}
    status, _, answer = tiny.post("/v1/chat/completions", body)
    entries = [choice["logprobs"]["content"] for choice in answer["choices"]]
    assert status == 200 and len(entries) == 8 and sum(map(len, entries)) > 1100
    assert all(len(entry["top_logprobs"]) == 4 for content in entries for entry in content)


def test_tokens_beyond_the_context_are_not_looked_at(tiny):
    status, _, answer = tiny.post("/v1/completions", {"prompt": [2**30] * 1_000_000, "max_tokens": 1})
    error = answer["error"]
    assert (status, error["code"], error["n_prompt_tokens"]) == (400, "context_length_exceeded", 1_000_000), error


def test_a_list_that_is_wrong_is_wrong_once():
    from pajamas_serve.api.requests import CompletionRequest

    for wrong in (None, 1.5, "a"):
        with pytest.raises(ValidationError) as caught:
            CompletionRequest.model_validate({"prompt": [1, "b", *[wrong] * 1000]})
        assert caught.value.error_count() < 6


def test_what_is_large_is_made_in_a_thread():
    from pajamas_serve.api.amount import made
    from pajamas_serve.api.body import received
    from pajamas_serve.api.requests import DetokenizeRequest

    class Watched(DetokenizeRequest):
        def model_post_init(self, _):
            threads.append(threading.current_thread())

    async def work():
        for size in (10, 100_000):
            await received(Watched, json.dumps({"tokens": [1] * size}).encode())
            await made(lambda: threads.append(threading.current_thread()), size)

    threads = []
    asyncio.run(work())
    main = threading.main_thread()
    assert [thread is main for thread in threads] == [True, True, False, False]


def test_json_in_pieces_is_the_same_json():
    from pajamas_serve.api.amount import encoded

    deep = {"a": [1, [2, [3, [4, [5, [6, {"é": '"'}]]]]]], "b": {}, "c": [], "d": [{}, None, True], "e": "x\n"}
    for body in (deep, [], {}, 1, "a", [deep, deep]):
        assert encoded(body) == json.dumps(body, separators=(",", ":")).encode()
