"""The server as its operator has it: keys, addresses, limits, stopping, leaving clients, logs, metrics, ps and stop."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from click.testing import CliRunner

from serving import COUNT, Server, alive, count_model, until

HELLO = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
FAST = ("--slots", 1, "--max-workers", 1)


@pytest.fixture
def count(serve, tmp_path):
    """`count(*arguments)` serves a model that does as its prompt says."""

    def count(*arguments, details=None, **options):
        path = os.pathsep.join(filter(None, [str(COUNT), os.environ.get("PYTHONPATH")]))
        model = count_model(tmp_path, **(details or {}))
        environment = {"PYTHONPATH": path, "XDG_STATE_HOME": str(tmp_path / "state")}
        return serve("--model", f"m={model}", *arguments, environment=environment, **options)

    return count


def stream(server, prompt, **options):
    """An open stream: the connection, and the answer after its first event."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=20)
    body = json.dumps({"prompt": prompt, "stream": True, "max_tokens": 1000, **options})
    connection.request("POST", "/v1/completions", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200 and answer.readline().startswith(b"data: ")
    return connection, answer


def test_keys_are_asked_for(serve, tiny_gguf, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("first\n\n  second \n")
    server = serve(
        "--model", f"tiny={tiny_gguf}", "--api-key-file", keys, "--api-key", "third", "--threads", 1,
        "--cors-origin", "https://example.org", environment={"PAJAMAS_API_KEY": "fourth"},
    )  # fmt: skip
    for path in ("/health", "/v1/health", "/live", "/ready"):
        assert server.get(path)[0] == 200
    for path in ("/v1/models", "/metrics", "/status", "/nowhere"):
        assert server.get(path)[0] == 401
    for key in ("first", "second", "third", "fourth"):
        assert server.get("/v1/models", {"authorization": f"Bearer {key}"})[0] == 200
    assert server.get("/v1/models", {"x-api-key": "third"})[0] == 200
    assert server.get("/v1/models", {"x-api-key": "thir"})[0] == 401
    for wrong in ("Bearer firs", "Bearer first2", "Bearer ", "first", "Basic first", "Bearer \xe9"):
        status, headers, body = server.post("/v1/chat/completions", HELLO, {"authorization": wrong})
        assert (status, body["error"]["type"], body["error"]["code"]) == (
            401, "authentication_error", "invalid_api_key",
        )  # fmt: skip
        assert headers["www-authenticate"] == "Bearer"
    assert not any(key in server.log for key in ("first", "second", "third", "fourth"))
    asked = {"origin": "https://example.org", "authorization": "Bearer first"}
    assert server.get("/v1/models", asked)[1]["access-control-allow-origin"] == "https://example.org"
    other = {**asked, "origin": "https://example.com"}
    assert "access-control-allow-origin" not in server.get("/v1/models", other)[1]


def test_pages_of_others_may_not_ask(tiny):
    headers = tiny.get("/v1/models", {"origin": "https://example.org"})[1]
    assert not [name for name in headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("origin", ["https://example.org", "null", "http://127.0.0.1:1", "http://evil.example"])
def test_pages_of_others_may_not_send_either(tiny, origin):
    headers = {"origin": origin, "content-type": "text/plain"}
    if "evil" in origin:
        headers["host"] = "evil.example"  # its name was made to point here
    status, _, body = tiny.post("/v1/chat/completions", HELLO, headers)
    assert (status, body["error"]["code"]) == (403, "origin_not_allowed")
    assert tiny.post("/v1/chat/completions", HELLO, {"origin": tiny.url})[0] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_an_address_that_others_reach_needs_a_key(host):
    from pajamas.errors import UsageError
    from pajamas_serve.command import command

    result = CliRunner().invoke(command, ["--model", "x", "--host", host], standalone_mode=False)
    assert isinstance(result.exception, UsageError) and "no API key" in str(result.exception)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--model", "a=x", "--model", "a=y"], "called 'a'"),
        (["--model", "a=x", "--pin", "b"], "--pin b"),
        (["--model", "a=x", "--alias", "b=c"], "--alias b=c"),
        (["--min-workers", "3", "--max-workers", "2"], "--min-workers"),
        (["--api-key", " "], "API key"),
        (["--api-key-file", "/nowhere/at/all"], "cannot be read"),
    ],
)
def test_options_that_make_no_sense_are_refused(arguments, words):
    from pajamas.errors import UsageError
    from pajamas_serve.command import command

    result = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert isinstance(result.exception, UsageError) and words in str(result.exception)


def test_limits_are_kept(serve, tiny_gguf):
    server = serve(
        "--model", f"tiny={tiny_gguf}", "--threads", 1, "--max-body", 2000, "--max-prompt-tokens", 50,
        "--max-tokens", 3, "--request-timeout", 0.5,
    )  # fmt: skip
    assert server.post("/v1/completions", {"prompt": "a" * 3000})[0] == 413
    for path, parameter, more in (
        ("/v1/completions", "prompt", {}),
        ("/v1/completions", "prompt", {"echo": True, "max_tokens": 0}),
        ("/v1/responses", "input", {}),
        ("/v1/embeddings", "input", {}),
    ):
        status, _, body = server.post(path, {parameter: "word " * 60, **more})
        error = body["error"]
        assert (status, error["param"], error["n_ctx"]) == (400, parameter, 50) and "takes 50" in error["message"]
    assert server.post("/v1/completions", {"prompt": "a", "max_tokens": 99})[2]["usage"]["completion_tokens"] <= 3
    assert server.post("/v1/chat/completions", HELLO)[0] == 200
    assert server.get("/nowhere")[0] == 404
    assert server.get("/v1/completions")[0] == 405


def test_an_answer_that_takes_too_long_is_ended(count):
    server = count(*FAST, "--request-timeout", 0.5)
    status, _, body = server.post("/v1/completions", {"prompt": "slow 0.01", "max_tokens": 1000})
    assert (status, body["error"]["code"]) == (504, "timeout")
    connection, answer = stream(server, "slow 0.01")
    rest = answer.read()
    connection.close()
    assert b'"code": "timeout"' in rest.splitlines()[-2] and b"[DONE]" not in rest
    assert server.post("/v1/completions", {"prompt": "count 3"})[2]["choices"][0]["text"] == "1 2 3 "


@pytest.mark.parametrize("streams", [True, False])
def test_a_client_that_leaves_frees_its_slot(count, streams):
    server = count(*FAST)
    if streams:
        connection, _answer = stream(server, "slow 0.01")
    else:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
        connection.request("POST", "/v1/completions", json.dumps({"prompt": "slow 0.01", "max_tokens": 1000}))
        assert until(lambda: server.metric("pajamas_slots", state="busy") == 1)
        time.sleep(0.3)  # it has begun to answer
    connection.sock.shutdown(socket.SHUT_RDWR)
    assert until(lambda: server.metric("pajamas_slots", state="busy") == 0, 5)
    assert "slow closed" in server.post("/v1/completions", {"prompt": "events"})[2]["choices"][0]["text"]
    assert server.metric("pajamas_requests_total", status="499") == 1
    connection.close()


def test_a_stop_waits_for_the_answers_under_way(count):
    server = count(*FAST)
    workers = server.workers()
    connection, answer = stream(server, "paced 100")
    server.process.send_signal(signal.SIGTERM)
    rest = answer.read()
    connection.close()
    assert rest.endswith(b"data: [DONE]\n\n") and rest.count(b"tick") >= 99
    assert server.stop() == 0
    assert not any(map(alive, workers))


def test_a_stop_waits_no_longer_than_it_is_told(count):
    server = count(*FAST, "--drain-timeout", 1)
    connection, answer = stream(server, "slow 0.02")
    workers = server.workers()
    assert server.stop() == 0
    assert not any(map(alive, workers))
    assert answer.read().count(b"tick") < 1000  # 50 a second
    connection.close()


def test_workers_die_with_a_server_that_is_killed(count):
    server = count(*FAST)
    assert until(server.workers)  # its log is read in a thread
    workers = server.workers()
    server.stop(signal.SIGKILL)
    assert until(lambda: not any(map(alive, workers)))


def test_what_the_backend_lacks_is_named(count):
    server = count(*FAST)
    for name, value in (("seed", 1), ("logprobs", 2), ("top_k", 3), ("logit_bias", {"1": 2}), ("grammar", "root ::= x"),
                        ("response_format", {"type": "json_object"}), ("ignore_eos", True)):  # fmt: skip
        status, _, body = server.post("/v1/completions", {"prompt": "count 3", name: value})
        assert (status, body["error"]["code"], body["error"]["param"]) == (400, "unsupported_parameter", name), body


def test_health_waits_for_all_workers(count):
    server = count("--min-workers", 2, details={"load_seconds": 1.0}, ready=False)
    assert server.get("/live")[0] == 200
    status, headers, body = server.get("/health")
    assert (status, body["error"]["type"], headers["retry-after"]) == (503, "unavailable_error", "1")
    assert server.post("/v1/completions", {"prompt": "count 2"})[2]["choices"][0]["text"] == "1 2 "
    server.wait_ready()
    assert len(server.workers()) == 2


def test_ready_says_when_a_pinned_model_has_no_worker(count):
    server = count(*FAST, details={"load_seconds": 0.5})
    os.kill(server.workers()[0], signal.SIGKILL)
    assert until(lambda: server.get("/ready")[0] == 503, 5)
    assert server.get("/health")[0] == 200
    server.wait_ready("/ready")
    assert server.metric("pajamas_worker_crashes_total") == 1


def test_a_crash_in_a_stream_is_an_event(count):
    server = count(*FAST)
    connection, answer = stream(server, "abort")
    rest = answer.read()
    connection.close()
    error = json.loads(rest.strip().splitlines()[-1].removeprefix(b"data: "))["error"]
    assert error["code"] == "engine_crashed" and "SIGABRT" in error["message"]
    for _ in range(4):
        assert server.post("/v1/completions", {"prompt": "abort"})[0] == 500
    status, headers, body = server.post("/v1/completions", {"prompt": "count 3"})
    assert (status, body["error"]["code"]) == (503, "unavailable") and int(headers["retry-after"]) >= 1
    assert server.metric("pajamas_breaker_state", state="open") == 1


def test_the_log_is_for_machines_and_holds_no_prompts(serve, tiny_gguf):
    server = serve("--model", f"tiny={tiny_gguf}", "--threads", 1, "--log-format", "json")
    secret = {"messages": [{"role": "user", "content": "Xylophone"}], "max_tokens": 2, "user": "u-7"}
    request_id = server.post("/v1/chat/completions", secret)[1]["x-request-id"]
    assert until(lambda: request_id in server.log, 5)
    (entry,) = [json.loads(line) for line in server.lines if request_id in line]
    assert (entry["status"], entry["model"], entry["user"], entry["completion_tokens"]) == (200, "tiny", "u-7", 2)
    assert "Xylophone" not in server.log


def test_figures_are_counted(tiny):
    before = tiny.metric("pajamas_generation_tokens_total", model="tiny")
    tiny.post("/v1/completions", {"prompt": "Once", "max_tokens": 5, "ignore_eos": True})
    assert tiny.metric("pajamas_generation_tokens_total", model="tiny") == before + 5
    assert tiny.metric("pajamas_time_to_first_token_seconds_count", model="tiny") >= 1
    assert tiny.metric("pajamas_workers", model="tiny", purpose="generation", state="ready") == 1
    assert tiny.metric("pajamas_memory_reserved_bytes", stage="loaded") > 1e6
    text = tiny.get("/metrics")[2]
    assert all(re.match(r"(# (HELP|TYPE) )?pajamas_[a-z_]+", line) for line in text.splitlines())


def test_a_server_is_listed_and_stopped(count, tmp_path):
    server = count(*FAST)

    def pajamas(*arguments):
        main = "import sys; from pajamas.cli.main import main; sys.argv[0] = 'pajamas'; main()"
        done = subprocess.run(
            [sys.executable, "-c", main, *arguments], capture_output=True, text=True, timeout=60,
            env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")},
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    (listed,) = json.loads(pajamas("ps", "--json")[1])
    assert (listed["pid"], listed["url"]) == (server.process.pid, server.url)
    assert listed["state"]["models"][0]["workers"][0]["pid"] == server.workers()[0]
    assert server.url in pajamas("ps")[1]
    assert pajamas("stop", "12345")[0] == 2
    waiter = threading.Thread(target=server.process.wait)  # reaps it, as a shell would
    waiter.start()
    code, said = pajamas("stop", server.url.rpartition(":")[2])
    waiter.join()
    assert code == 0 and "Stopped" in said and server.stop() == 0
    assert "No server is running" in pajamas("ps")[1]


def test_a_port_that_is_taken_is_refused(tiny, tiny_gguf):
    port = tiny.url.rpartition(":")[2]
    with pytest.raises(AssertionError, match="cannot be opened"):
        Server("--model", tiny_gguf, "--port", port)


def test_a_model_that_is_not_there_is_said_at_once():
    with pytest.raises(AssertionError, match=r"nowhere\.gguf"):
        Server("--model", "./nowhere.gguf")
