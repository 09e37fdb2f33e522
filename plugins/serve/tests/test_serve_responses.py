"""/v1/responses, by the `openai` SDK."""

from __future__ import annotations

import json
import re

import openai
import pydantic
import pytest

from test_serve_chat import WEATHER

TOOL = {"type": "function", **WEATHER["function"], "strict": True}
PLAIN = {"model": "tiny", "temperature": 0, "max_output_tokens": 60}


@pytest.fixture(scope="module")
def client(tiny):
    with openai.OpenAI(base_url=tiny.v1, api_key="none", max_retries=0) as client:
        yield client


def test_a_response_is_what_the_chat_answers(client):
    chat = client.chat.completions.create(
        model="tiny", messages=[{"role": "user", "content": "What is 2+2?"}], temperature=0, max_tokens=60
    )
    response = client.responses.create(input="What is 2+2?", metadata={"a": "b"}, **PLAIN)
    assert response.output_text == chat.choices[0].message.content
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert response.output[0].content[0].text == chat.choices[0].message.reasoning_content
    assert (response.status, response.metadata) == ("completed", {"a": "b"})
    assert response.usage.total_tokens == chat.usage.total_tokens
    assert re.match("resp_.*rs_.*msg_", " ".join([response.id, *(item.id for item in response.output)]))


def test_a_stream_tells_the_same(client):
    whole = client.responses.create(input="What is 2+2?", **PLAIN)
    events = list(client.responses.create(input="What is 2+2?", stream=True, **PLAIN))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"] and kinds[-1] == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == whole.output_text == events[-1].response.output_text
    assert kinds.count("response.output_item.added") == kinds.count("response.output_item.done") == 2


def test_the_sdk_puts_a_stream_together(client):
    with client.responses.stream(input="What is 2+2?", **PLAIN) as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text == "2 + 2 = 4."


def test_a_response_that_is_cut_says_so(client):
    response = client.responses.create(input="What is 2+2?", **{**PLAIN, "max_output_tokens": 3})
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def test_a_tool_is_called_and_answered(client):
    options = {**PLAIN, "tools": [TOOL]}
    first = client.responses.create(input="The weather in Paris?", tool_choice="required", **options)
    (call,) = first.output
    assert call.type == "function_call" and json.loads(call.arguments)["city"] in ("Paris", "London")
    again = [
        {"role": "user", "content": [{"type": "input_text", "text": "The weather in Paris?"}]},
        call.model_dump(exclude_none=True),
        {"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"},
    ]
    assert client.responses.create(input=again, **options).status in ("completed", "incomplete")
    named = {"type": "function", "name": "get_weather"}
    events = list(client.responses.create(input="Hello", stream=True, tool_choice=named, **options))
    assert [event.arguments for event in events if event.type.endswith("arguments.done")] == [
        event.item.arguments for event in events if event.type == "response.output_item.done"
    ]


def test_log_probabilities_are_those_of_the_chat(client):
    plain = {"model": "tiny", "temperature": 0}
    question = [{"role": "user", "content": "What is 2+2?"}]
    chat = client.chat.completions.create(
        messages=question, logprobs=True, top_logprobs=2, max_tokens=60, reasoning_effort="none", **plain
    )
    wanted = chat.choices[0].logprobs.content
    options = {"input": "What is 2+2?", "max_output_tokens": 60, "reasoning": {"effort": "none"}, "top_logprobs": 2,
               "include": ["message.output_text.logprobs"], **plain}  # fmt: skip
    (message,) = client.responses.create(**options).output
    events = list(client.responses.create(stream=True, **options))
    told = [entry for event in events if event.type.endswith("text.delta") for entry in event.logprobs]
    for found in (message.content[0].logprobs, told):
        assert [entry.token for entry in found] == [entry.token for entry in wanted]
        # A prompt that was computed anew rounds otherwise than a cached one.
        assert [entry.logprob for entry in found] == pytest.approx([entry.logprob for entry in wanted], abs=0.01)
        assert {len(entry.top_logprobs) for entry in found} == {2}
    assert client.responses.create(input="Hello", **PLAIN).output[-1].content[0].logprobs in ([], None)


def test_a_prompt_is_counted_without_an_answer(client, tiny):
    options = {"model": "tiny", "input": "What is 2+2?", "instructions": "Be short."}
    counted = client.responses.input_tokens.count(**options).input_tokens
    assert counted == client.responses.create(max_output_tokens=1, **options).usage.input_tokens
    messages = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "What is 2+2?"}]
    _, _, body = tiny.post("/v1/chat/completions/input_tokens", {"messages": messages})
    assert body == {"object": "response.input_tokens", "input_tokens": counted}


class Answer(pydantic.BaseModel):
    city: str


def test_a_response_fits_the_schema(client):
    parsed = client.responses.parse(input="A city", text_format=Answer, **{**PLAIN, "max_output_tokens": 300})
    assert isinstance(parsed.output_parsed, Answer)


@pytest.mark.parametrize(
    "change, parameter",
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"store": True}, "store"),
        ({"background": True}, "background"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"input": [{"type": "image"}]}, "input[0].type"),
        ({"input": []}, "input"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content"),
        ({"text": {"verbosity": "low"}}, "text.verbosity"),
        ({"include": ["reasoning.encrypted_content"]}, "include[0]"),
    ],
)
def test_what_cannot_be_honoured_is_named(tiny, change, parameter):
    status, _, body = tiny.post("/v1/responses", {"input": "Hello", **change})
    assert status == 400 and body["error"]["param"] == parameter, body
