"""/v1/embeddings: the same vectors as the session's, and refusals."""

from __future__ import annotations

import numpy as np
import openai
import pytest

from pajamas.types import Artifact, LoadOptions

TEXTS = ["The river runs to the sea.", "A dog"]


@pytest.fixture(scope="module")
def client(tiny):
    with openai.OpenAI(base_url=tiny.v1, api_key="none", max_retries=0) as client:
        yield client


def test_vectors_are_those_of_the_session(client, tiny, tiny_gguf):
    from pajamas_gguf.session.load import load

    options = LoadOptions(context_length=2048, threads=1, embeddings=True)
    with load(Artifact(path=tiny_gguf, format="gguf"), options) as session:
        wanted = session.embed(TEXTS)
        tokens = sum(len(session.tokenize(text)) for text in TEXTS)
    for encoding in ("float", "base64"):
        found = client.embeddings.create(model="tiny", input=TEXTS, encoding_format=encoding)
        vectors = [one.embedding for one in found.data]
        if encoding == "base64":
            import base64

            vectors = [np.frombuffer(base64.b64decode(vector), "<f4") for vector in vectors]
        assert np.allclose(vectors, wanted, atol=1e-5)
        assert found.usage.prompt_tokens == tokens
    assert client.embeddings.create(model="tiny", input=TEXTS[1]).data[0].index == 0
    assert client.chat.completions.create(
        model="tiny", messages=[{"role": "user", "content": "Hello"}], max_tokens=2
    ).choices  # the model that generates is there beside it
    assert tiny.metric("pajamas_workers", model="tiny", purpose="embeddings", state="ready") == 1


@pytest.mark.parametrize(
    "change, parameter",
    [({"input": ""}, "input"), ({"input": []}, "input"), ({"input": "a", "dimensions": 3}, "dimensions"),
     ({"input": "a", "truncate": True}, "truncate"), ({}, "input"), ({"input": ["\ud800"]}, "input")],
)  # fmt: skip
def test_what_cannot_be_honoured_is_named(tiny, change, parameter):
    status, _, body = tiny.post("/v1/embeddings", change)
    assert status == 400 and body["error"]["param"] == parameter, body


def test_a_text_that_is_too_long_is_refused(tiny):
    status, _, body = tiny.post("/v1/embeddings", {"input": "word " * 5000})
    assert status == 400 and body["error"]["code"] == "context_length_exceeded"


def test_a_backend_without_embeddings_says_so(serve, tmp_path):
    model = tmp_path / "m.echo"
    model.write_text('{"format": "echo", "scheme": "plain", "model": "m"}')
    server = serve("--model", f"m={model}")
    status, _, body = server.post("/v1/embeddings", {"input": "a"})
    assert status == 400 and "embeddings" in body["error"]["message"], body
    assert server.post("/v1/completions", {"prompt": "abc", "max_tokens": 3})[2]["choices"][0]["text"] == "abc"
    for _ in range(6):  # a refusal is no failure of the engine
        assert server.post("/v1/embeddings", {"input": "a"})[0] == 400
