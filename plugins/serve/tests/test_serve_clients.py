"""Clients that people use, each as its users have it: unchanged, and pointed at the server."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import openai
import pytest

QUESTION = [{"role": "user", "content": "What is 2+2?"}]
HERE = Path(__file__).parent
NODE_MODULES = os.environ.get("PAJAMAS_NODE_MODULES")
"""A folder with the `openai` package of npm; there is none in the repository."""


def program(*command, **environment):
    """The standard output of a program that must succeed. In a process of its own: their warnings are not ours."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
        env={**os.environ, "OPENAI_API_KEY": "none", **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_asynchronous_client_asks_many_at_once_and_stops_when_it_likes(tiny):
    async def main():
        async with openai.AsyncOpenAI(base_url=tiny.v1, api_key="none", max_retries=0) as client:
            options = {"model": "tiny", "messages": QUESTION, "temperature": 0, "max_tokens": 60}
            answers = await asyncio.gather(*(client.chat.completions.create(**options) for _ in range(12)))
            assert {answer.choices[0].message.content for answer in answers} == {"2 + 2 = 4."}
            assert len({answer.id for answer in answers}) == 12
            endless = {**options, "max_tokens": 1500, "extra_body": {"ignore_eos": True}}
            streams = [await client.chat.completions.create(stream=True, **endless) for _ in range(4)]
            for stream in streams:
                await anext(aiter(stream))
                await stream.close()
            waiting = asyncio.ensure_future(client.chat.completions.create(**endless))
            await asyncio.sleep(0.2)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            for _ in range(250):
                if tiny.metric("pajamas_slots", model="tiny", state="busy") == 0:
                    break
                await asyncio.sleep(0.02)
            else:
                raise AssertionError("a slot was not freed")

    asyncio.run(main())


def test_the_hub_client(tiny):
    from huggingface_hub import InferenceClient

    for base in (tiny.url, tiny.v1):
        client = InferenceClient(base_url=base)
        answer = client.chat_completion(QUESTION, model="tiny", temperature=0, max_tokens=60)
        assert answer.choices[0].message.content == "2 + 2 = 4."
        parts = client.chat_completion(QUESTION, model="tiny", temperature=0, max_tokens=60, stream=True)
        assert "".join(part.choices[0].delta.content or "" for part in parts if part.choices) == "2 + 2 = 4."


@pytest.mark.slow
def test_llm(tiny, tmp_path):
    models = f"- model_id: pajamas\n  model_name: tiny\n  api_base: {tiny.v1}\n  supports_schema: true\n"
    (tmp_path / "extra-openai-models.yaml").write_text(models)

    def llm(*arguments):
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return program(
            "llm", "-m", "pajamas", "-o", "temperature", "0", *arguments, LLM_USER_PATH=str(tmp_path), PATH=path
        )

    assert llm("What is 2+2?", "--no-stream").strip() == "2 + 2 = 4."
    assert llm("What is 2+2?").strip() == "2 + 2 = 4."
    assert "city" in json.loads(llm("A city", "--schema", "city, people int", "-o", "max_tokens", "200"))


@pytest.mark.slow
def test_litellm(tiny):
    script = """
import json, sys, litellm
options = dict(model="openai/tiny", api_base=sys.argv[1], api_key="x", temperature=0, max_tokens=60,
               messages=[{"role": "user", "content": "What is 2+2?"}])
whole = litellm.completion(**options).choices[0].message
parts = [part.choices[0].delta.content or "" for part in litellm.completion(stream=True, **options)]
text = litellm.text_completion(model="text-completion-openai/tiny", api_base=sys.argv[1], api_key="x", prompt="Once",
                               max_tokens=4, temperature=0)
print(json.dumps([whole.content, whole.reasoning_content, "".join(parts), text.usage.completion_tokens]))
"""
    said = program(sys.executable, "-c", script, tiny.v1, LITELLM_LOCAL_MODEL_COST_MAP="True")
    content, reasoning, streamed, tokens = json.loads(said.splitlines()[-1])
    assert content == streamed == "2 + 2 = 4." and reasoning and tokens == 4


@pytest.mark.slow
def test_an_examiner_of_the_openapi_document_finds_nothing(tiny):
    checks = (
        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
        "negative_data_rejection,unsupported_method"
    )
    program(
        Path(sys.executable).with_name("schemathesis"), "run", f"{tiny.url}/openapi.json", "--checks", checks,
        "--max-examples", 10, "--phases", "fuzzing", "--seed", 7, "--generation-database", "none",
    )  # fmt: skip


@pytest.mark.skipif(
    not (shutil.which("node") and NODE_MODULES), reason="needs node, and its openai package in PAJAMAS_NODE_MODULES"
)
def test_the_node_client(tiny, tmp_path):
    shutil.copy(HERE / "client.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    found = json.loads(program("node", tmp_path / "client.mjs", tiny.v1))
    assert found["whole"] == found["streamed"] == found["response"] == "2 + 2 = 4."
    assert (found["status"], found["code"], found["param"]) == (400, "unknown_parameter", "wrong")
    assert found["tool"] == "now"
