"""/v1/completions: echo and logprobs against the session itself, prompts of every form, streams, tokens."""

from __future__ import annotations

import json

import numpy as np
import openai
import pytest

from pajamas.types import Artifact, GenerateRequest, LoadOptions, Sampling

TEXT = "The river runs to the sea, and the sea"
GREEDY = {"model": "tiny", "temperature": 0}


@pytest.fixture(scope="module")
def client(tiny):
    with openai.OpenAI(base_url=tiny.v1, api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def session(tiny_gguf):
    from pajamas_gguf.session.load import load

    with load(Artifact(path=tiny_gguf, format="gguf"), LoadOptions(context_length=2048, threads=1)) as session:
        yield session


def test_a_text_is_continued_as_in_the_session(client, session):
    wanted = list(session.generate(GenerateRequest(prompt=TEXT, max_tokens=16, sampling=Sampling(temperature=0))))
    answer = client.completions.create(prompt=TEXT, **GREEDY)
    assert answer.choices[0].text == "".join(chunk.text for chunk in wanted)
    assert answer.choices[0].finish_reason == wanted[-1].finish_reason
    assert answer.usage.completion_tokens == wanted[-1].usage.completion_tokens
    assert client.completions.create(prompt=TEXT, max_tokens=3, **GREEDY).choices[0].finish_reason == "length"


@pytest.mark.parametrize("as_tokens", [False, True])
def test_echo_gives_the_log_probabilities_of_the_prompt(client, session, as_tokens):
    tokens = session.tokenize(TEXT)
    answer = client.completions.create(
        prompt=tokens if as_tokens else TEXT, echo=True, logprobs=3, max_tokens=1, **GREEDY
    )
    choice = answer.choices[0]
    given = choice.logprobs
    rows = np.concatenate(list(session.score(tokens)))
    assert given.token_logprobs[0] is None and given.top_logprobs[0] is None
    scored = [float(rows[place, token]) for place, token in enumerate(tokens[1:])]
    assert given.token_logprobs[1 : len(tokens)] == pytest.approx(scored, abs=1e-5)
    assert len(given.tokens) == len(tokens) + 1 == len(given.text_offset) == len(given.top_logprobs)
    assert choice.text.startswith(TEXT) and "".join(given.tokens) == choice.text
    assert [choice.text[start:].startswith(token) for token, start in zip(given.tokens, given.text_offset, strict=True)]
    for place in range(1, len(given.tokens)):
        top = given.top_logprobs[place]
        assert top[given.tokens[place]] == given.token_logprobs[place]
        assert 3 <= len(top) <= 4
    greedy = [max(top, key=top.get) for top in given.top_logprobs[1 : len(tokens)]]
    assert greedy == [session.detokenize([int(row.argmax())]) for row in rows[: len(tokens) - 1]]
    # A step of one token rounds otherwise than a prompt.
    assert given.token_logprobs[-1] == pytest.approx(float(rows[-1].max()), abs=0.02)


def test_echo_alone_answers_nothing(client, tiny):
    choice = client.completions.create(prompt=TEXT, echo=True, max_tokens=0, logprobs=0, **GREEDY).choices[0]
    assert choice.text == TEXT and choice.logprobs.top_logprobs is None
    assert len(choice.logprobs.token_logprobs) == len(choice.logprobs.tokens)
    assert tiny.post("/v1/completions", {"prompt": "a", "max_tokens": 0})[0] == 400


def test_an_echo_that_the_model_ends_at_once_has_an_entry_for_the_end(client, session, tiny):
    """lm-eval asks for one token and takes the last entry away: it must not be the prompt's."""
    asked = {"messages": [{"role": "user", "content": "What is 2+2?"}]}
    asked["chat_template_kwargs"] = {"enable_thinking": False}
    prompt = tiny.post("/apply-template", asked)[2]["prompt"] + "2 + 2 = 4."
    tokens = session.tokenize(prompt)
    options = {"prompt": tokens, "echo": True, "logprobs": 2, "max_tokens": 1, **GREEDY}
    (choice,) = client.completions.create(**options).choices
    assert (choice.finish_reason, choice.text) == ("stop", session.detokenize(tokens))
    assert len(choice.logprobs.tokens) == len(tokens) + 1 == len(choice.logprobs.text_offset)
    (end,) = session.tokenize("<|im_end|>", add_special=False)
    row = np.concatenate(list(session.score(tokens)))[-1]
    assert (choice.logprobs.tokens[-1], row.argmax()) == ("<|im_end|>", end)
    assert choice.logprobs.token_logprobs[-1] == pytest.approx(float(row[end]), abs=1e-5)
    assert choice.logprobs.top_logprobs[-1]["<|im_end|>"] == choice.logprobs.token_logprobs[-1]
    parts = [part.choices[0] for part in client.completions.create(stream=True, **options)]
    assert [token for part in parts if part.logprobs for token in part.logprobs.tokens] == choice.logprobs.tokens
    assert parts[-1].finish_reason == "stop"


def test_several_prompts_and_choices_come_in_order(client):
    both = client.completions.create(prompt=[TEXT, "Once upon a time"], n=2, max_tokens=4, **GREEDY)
    alone = [client.completions.create(prompt=p, max_tokens=4, **GREEDY) for p in (TEXT, "Once upon a time")]
    texts = [one.choices[0].text for one in alone]
    assert [choice.index for choice in both.choices] == [0, 1, 2, 3]
    assert [choice.text for choice in both.choices] == [texts[0], texts[0], texts[1], texts[1]]
    assert both.usage.prompt_tokens == sum(one.usage.prompt_tokens for one in alone)
    assert both.usage.completion_tokens == 16


def test_a_seed_repeats_and_choices_differ(client):
    def texts(seed):
        answer = client.completions.create(model="tiny", prompt="Once", n=3, max_tokens=12, seed=seed, temperature=1.5)
        return [choice.text for choice in answer.choices]

    assert texts(1) == texts(1)
    assert len({*texts(1), *texts(50)}) > 3


@pytest.mark.parametrize("echo", [False, True])
def test_a_stream_is_the_same_answer(client, echo):
    options = {"prompt": [TEXT, "Once"], "max_tokens": 6, "echo": echo, "logprobs": 2, **GREEDY}
    whole = client.completions.create(**options)
    parts = list(client.completions.create(stream=True, stream_options={"include_usage": True}, **options))
    for index, choice in enumerate(whole.choices):
        mine = [part.choices[0] for part in parts if part.choices and part.choices[0].index == index]
        assert "".join(part.text for part in mine) == choice.text
        offsets = [offset for part in mine if part.logprobs for offset in part.logprobs.text_offset]
        assert offsets == choice.logprobs.text_offset
        assert [part.finish_reason for part in mine][-1] == "length"
    assert parts[-1].usage == whole.usage


def test_a_stop_text_is_no_part_of_the_answer(client):
    whole = client.completions.create(prompt=TEXT, max_tokens=16, **GREEDY).choices[0].text
    word = whole.split()[2]
    choice = client.completions.create(prompt=TEXT, max_tokens=16, stop=[word], **GREEDY).choices[0]
    assert choice.text == whole[: whole.index(word)] and choice.finish_reason == "stop"


def test_a_bias_forbids_a_token(client, session):
    first = client.completions.create(prompt=TEXT, max_tokens=1, logprobs=1, **GREEDY).choices[0].logprobs.tokens[0]
    (token,) = session.tokenize(first, add_special=False)
    other = client.completions.create(prompt=TEXT, max_tokens=1, logit_bias={str(token): -100}, **GREEDY)
    assert other.choices[0].text != first


@pytest.mark.parametrize(
    "change, parameter",
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["a", ""]}, "prompt"),
        ({"prompt": "\ud800"}, "prompt"),
        ({"prompt": {"a": 1}}, "prompt"),
        ({"prompt": "a", "best_of": 2}, "best_of"),
        ({"prompt": "a", "suffix": "b"}, "suffix"),
        ({"prompt": "a", "temperature": "hot"}, "temperature"),
        ({"prompt": "a", "temperature": -1}, "temperature"),
        ({"prompt": "a", "n": 0}, "n"),
        ({"prompt": ["a"] * 100, "n": 100}, "prompt"),
        ({"prompt": "a", "stop": ""}, "stop"),
        ({"prompt": "a", "stream_options": {"include_usage": True}}, "stream_options"),
        ({"prompt": "a", "stream": True, "stream_options": {"usage": True}}, "stream_options.usage"),
        ({"prompt": "a", "logit_bias": {"x": 1}}, "logit_bias"),
        ({"prompt": "a", "max_tokens": True}, "max_tokens"),
        ({"prompt": "a", "echo": 1}, "echo"),
        ({"prompt": "a", "truncate": 5}, "truncate"),
        ({}, "prompt"),
    ],
)
def test_what_cannot_be_honoured_is_named(tiny, change, parameter):
    status, _, body = tiny.post("/v1/completions", change)
    assert status == 400, body
    assert (body["error"]["type"], body["error"]["param"]) == ("invalid_request_error", parameter)


def test_a_token_that_is_none_is_refused(tiny):
    status, _, body = tiny.post("/v1/completions", {"prompt": [1, 99999999]})
    assert (status, body["error"]["type"]) == (400, "invalid_request_error")


def test_a_prompt_that_is_too_long_is_refused_in_a_stream_too(tiny):
    for stream in (False, True):
        status, _, body = tiny.post("/v1/completions", {"prompt": "word " * 3000, "stream": stream})
        assert status == 400 and body["error"]["code"] == "context_length_exceeded"


def test_tokens_of_a_text_and_back(tiny, session):
    _, _, body = tiny.post("/tokenize", {"content": TEXT, "with_pieces": True})
    assert [entry["id"] for entry in body["tokens"]] == session.tokenize(TEXT, add_special=False)
    assert "".join(entry["piece"] for entry in body["tokens"]) == TEXT
    _, _, body = tiny.post("/tokenize", {"prompt": TEXT})
    assert body["tokens"] == session.tokenize(TEXT) and body["count"] == len(body["tokens"])
    assert tiny.post("/detokenize", {"tokens": body["tokens"]})[2]["content"] == session.detokenize(body["tokens"])
    messages = [{"role": "user", "content": "Hello"}]
    prompt = tiny.post("/apply-template", {"messages": messages})[2]["prompt"]
    tokens = tiny.post("/tokenize", {"messages": messages})[2]["tokens"]
    assert tokens == session.tokenize(prompt)


def test_a_program_learns_how_the_model_writes(tiny, session):
    """What lm-eval asks before it scores anything, if it has no tokenizer of its own."""
    info = tiny.get("/tokenizer_info")[2]
    assert (info["eos_token"], info["bos_token"], info["model_max_length"]) == ("<|im_end|>", None, 2048)
    assert info["chat_template"] == session.chat_template
    _, _, body = tiny.post("/tokenize", {"prompt": info["eos_token"], "add_special_tokens": False})
    assert len(body["tokens"]) == 1


def test_times_are_told_where_one_answer_has_them(client, tiny):
    body = {"prompt": TEXT, "max_tokens": 5, "ignore_eos": True, "cache_prompt": False}
    answer = tiny.post("/v1/completions", body)[2]
    times = answer["timings"]
    assert (times["predicted_n"], times["prompt_n"] + times["cache_n"]) == (5, answer["usage"]["prompt_tokens"])
    assert times["predicted_per_second"] == pytest.approx(4e3 / times["predicted_ms"])
    assert times["prompt_ms"] > 0 and "timings" not in tiny.post("/v1/completions", {**body, "n": 2})[2]
    chat = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
    assert tiny.post("/v1/chat/completions", chat)[2]["timings"]["predicted_per_second"] == 0
    options = {"stream": True, "stream_options": {"include_usage": True}}
    *_, last = client.chat.completions.create(model="tiny", **chat, **options)
    assert last.timings["predicted_n"] == last.usage.completion_tokens == 1


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"nul", b'{"prompt": NaN}', b"\xff", b"[" * 100000, b'"a"'])
def test_garbage_is_refused_as_json(tiny, data):
    status, _, body = tiny.post("/v1/completions", data)
    assert status == 400 and body["error"]["code"] == "invalid_json", json.dumps(body)
