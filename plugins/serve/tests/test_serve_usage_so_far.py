"""`continuous_usage_stats`, which load generators ask for: every part of a stream says the usage so far."""

from __future__ import annotations

import json
import re

import pytest

ASKED = {"include_usage": True, "continuous_usage_stats": True}


@pytest.mark.parametrize(
    "path, body",
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hello"}], "n": 2}),
        ("/v1/completions", {"prompt": ["Once", "The river"], "n": 2}),
        ("/v1/completions", {"prompt": [5, 6, 7]}),
    ],
)
def test_every_part_says_the_usage_so_far(tiny, path, body):
    body = {**body, "max_tokens": 40, "ignore_eos": True, "stream": True, "stream_options": ASKED}
    text = tiny.post(path, body)[2]
    usages = [json.loads(data)["usage"] for data in re.findall(r"data: (\{.*\})", text)]
    *parts, last = usages
    made = [usage["completion_tokens"] for usage in parts]
    assert made == sorted(made) and made[-1] == last["completion_tokens"] and made[0] < made[-1]
    assert {usage["prompt_tokens"] for usage in parts} == {last["prompt_tokens"]}
    assert all(usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] for usage in usages)
    body["stream_options"] = {"include_usage": True}
    *parts, last = re.findall(r"data: (\{.*\})", tiny.post(path, body)[2])
    assert {json.loads(part)["usage"] for part in parts} == {None} and json.loads(last)["usage"]
    del body["stream_options"]
    assert "usage" not in tiny.post(path, body)[2]
