"""What the server logs, counts and tells of what went wrong, and to whom."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import urllib.parse

import pytest

from pajamas.errors import EngineCrashed, ModelNotFound, NotEnoughMemory, UnsupportedFeature
from pajamas_serve.api.errors import api_error
from serving import until

HELLO = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}


def test_what_is_refused_is_counted_and_logged(tiny):
    def count(status):
        return tiny.metric("pajamas_requests_total", path="other", status=status)

    before = [count(status) for status in ("403", "404", "405")]
    ids = [
        tiny.post("/v1/chat/completions", HELLO, {"origin": "https://example.org"})[1]["x-request-id"],
        tiny.get("/nowhere")[1]["x-request-id"],
        tiny.get("/v1/completions")[1]["x-request-id"],
    ]
    assert [count(status) for status in ("403", "404", "405")] == [number + 1 for number in before]
    assert until(lambda: all(id in tiny.log for id in ids), 5)


@pytest.mark.parametrize(
    "path, words", [("/props", "/tokenizer_info"), ("/slots", "/status"), ("/v1/completion", "s.")]
)
def test_what_llama_cpp_has_is_pointed_elsewhere(tiny, path, words):
    status, _, body = tiny.get(path)
    assert (status, body["error"]["type"]) == (404, "not_found_error") and words in body["error"]["message"]


def test_what_clients_choose_is_neither_obeyed_nor_repeated_at_length(tiny):
    name = "x\n\x1b[31m" + "y" * 5000
    status, _, body = tiny.get("/v1/models/" + urllib.parse.quote(name))
    assert status == 404 and len(json.dumps(body)) < 10_000
    assert until(lambda: "x\\x0a\\x1b[31myyy" in tiny.log, 5)
    assert "\x1b" not in tiny.log and "y" * 300 not in tiny.log
    for body in ({**HELLO, "model": "z" * 100_000}, {**HELLO, "z" * 100_000: 1}):
        assert len(json.dumps(tiny.post("/v1/chat/completions", body)[2])) < 10_000


def test_prompts_are_logged_where_that_is_asked_for():
    from pajamas_serve.logs import TextFormatter

    record = logging.makeLogRecord({"msg": "/x", "request_id": "7", "prompt": "a\nb", "answers": ["c"]})
    assert TextFormatter().format(record).endswith('/x (7) prompt: "a\\nb" answers: ["c"]')


def test_a_key_that_is_missing_is_logged_and_browsers_clients_may_ask(serve, tiny_gguf):
    server = serve(
        "--model", f"tiny={tiny_gguf}", "--threads", 1, "--api-key", "k", "--cors-origin", "https://example.org",
        "--log-prompts",
    )  # fmt: skip
    with_key = {"authorization": "Bearer k"}
    assert server.get("/v1/models")[0] == 401
    assert until(lambda: "/v1/models 401" in server.log, 5)
    assert 'path="other",status="401"} 1.0' in server.get("/metrics", with_key)[2]
    program = (
        "import sys, urllib.request as u\n"
        "r = u.Request(sys.argv[1], method='OPTIONS', headers={'origin': 'https://example.org',"
        "'access-control-request-method': 'POST', 'access-control-request-headers':"
        "'authorization,content-type,openai-organization,x-api-key,x-stainless-lang'})\n"
        "a = u.urlopen(r); print(a.status, a.headers['access-control-allow-headers'])"
    )
    asked = subprocess.run(
        [sys.executable, "-c", program, f"{server.v1}/chat/completions"], capture_output=True, text=True
    )
    assert asked.stdout.startswith("200 ") and "x-stainless-lang" in asked.stdout, asked.stderr
    secret = {"messages": [{"role": "user", "content": "Xylophone"}], "max_tokens": 2}
    assert server.post("/v1/chat/completions", secret, with_key)[0] == 200
    assert until(lambda: "Xylophone" in server.log, 5)


def test_a_log_for_machines_has_no_other_lines(serve, tiny_gguf):
    server = serve("--model", f"tiny={tiny_gguf}", "--threads", 1, "--log-format", "json")
    assert not [line for line in server.lines if '"/health 503' in line]
    assert server.stop() == 0
    entries = [json.loads(line) for line in server.lines]
    assert any(entry["message"].startswith("Serving: tiny at http://") for entry in entries)
    assert entries[-1]["message"] == "Stopped."


@pytest.mark.parametrize(
    "error, message",
    [
        (ModelNotFound("There is no /srv/my models/a.gguf.", "", "Look at ~/x."), "There is no a.gguf."),
        (EngineCrashed("It ended.", "libfoo: '/a/b/c.so' and/or 1/2", "Call pajamas doctor."),
         "It ended. libfoo: 'c.so' and/or 1/2."),
        (NotEnoughMemory("It needs 3 GiB.", "2 GiB are free.", "Give --memory-limit."),
         "It needs 3 GiB. 2 GiB are free."),
        (UnsupportedFeature("There are no tools.", "", "Leave 'tools' out."), "There are no tools. Leave 'tools' out."),
    ],
)  # fmt: skip
def test_clients_are_not_told_of_the_servers_files(error, message):
    assert api_error(error).message == message


def test_a_server_whose_log_is_full_goes_on(tiny_gguf, tmp_path):
    """/dev/full takes nothing."""
    command = [
        sys.executable, "-c", "import sys; from pajamas.cli.main import main; sys.argv[0] = 'pajamas'; main()",
        "serve", "--port", "0", "--model", f"m={tiny_gguf}", "--threads", "1",
    ]  # fmt: skip
    state = tmp_path / "state"
    with open("/dev/full", "w") as full:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=full,
            env={**os.environ, "XDG_STATE_HOME": str(state)},
        )  # fmt: skip
    try:
        assert until(lambda: any(state.rglob("*.json")), 30)
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
