"""Options that say how long and how many may wait, and what a worker is loaded with, by HTTP."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import threading

from serving import COUNT, count_model, until


def test_who_waits_for_a_slot_waits_among_so_many_and_so_long(serve, tmp_path):
    path = os.pathsep.join(filter(None, [str(COUNT), os.environ.get("PYTHONPATH")]))
    server = serve(
        "--model", f"a={count_model(tmp_path, 'a')}", "--model", f"b={count_model(tmp_path, 'b')}", "--slots", 1,
        "--max-workers", 1, "--max-queue", 1, "--queue-timeout", 1, "--idle-timeout", 0.2,
        environment={"PYTHONPATH": path},
    )  # fmt: skip
    with contextlib.closing(http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=20)) as connection:
        connection.request("POST", "/v1/completions", json.dumps({"prompt": "slow 0.01", "max_tokens": 5000}))
        assert until(lambda: server.metric("pajamas_slots", model="a", state="busy") == 1)
        answers = []

        def wait():
            answers.append(server.post("/v1/completions", {"prompt": "count 3"}))

        waiting = threading.Thread(target=wait)
        waiting.start()
        try:
            assert until(lambda: server.metric("pajamas_queue_length", model="a") == 1, 5)
            status, _, body = server.post("/v1/completions", {"prompt": "count 3"})
        finally:
            waiting.join()
        assert (status, body["error"]["message"][:18]) == (503, "The queue is full.")
        status, headers, body = answers[0]
        assert (status, int(headers["retry-after"])) == (503, 5) and "for 1 second" in body["error"]["message"]
    assert server.post("/v1/completions", {"model": "b", "prompt": "count 3"})[0] == 200
    assert until(lambda: server.metric("pajamas_workers", model="b") == 0, 10)
    assert server.metric("pajamas_workers", model="a", state="ready") == 1  # it is pinned


def test_a_worker_is_loaded_as_the_command_says(serve, tiny_gguf):
    server = serve(
        "--model", f"tiny={tiny_gguf}", "--threads", 1, "--context", 64, "--gpu-layers", 0, "--kv-type", "q8_0",
        "--api-style", "openai",
    )  # fmt: skip
    assert server.post("/v1/completions", {"prompt": "Once", "max_tokens": 3})[0] == 200
    assert server.post("/v1/completions", {"prompt": [5] * 65})[2]["error"]["n_ctx"] == 64
