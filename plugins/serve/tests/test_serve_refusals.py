"""A server of a model that can never be served says so and ends."""

from __future__ import annotations

import pytest

from serving import COUNT, Server, count_model, until


@pytest.mark.parametrize(
    "arguments, details, words",
    [
        ((), {"load": "unsupported"}, "The cache cannot be quantized so."),
        (("--memory-limit", 1), {}, "has no room here."),
    ],
)
def test_a_pinned_model_that_can_never_be_served_ends_the_server(tmp_path, arguments, details, words):
    model = count_model(tmp_path, **details)
    server = Server("--model", model, *arguments, ready=False, environment={"PYTHONPATH": str(COUNT)})
    ended = until(lambda: server.process.poll() is not None, 20)
    assert server.stop() > 0 and ended
    assert server.log.count(words) == 2  # in the log, and as the command's error
