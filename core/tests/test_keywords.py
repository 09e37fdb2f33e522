"""Options by keyword: honoured or refused by name."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

import pajamas
from pajamas.errors import UsageError
from pajamas.keywords import generate_request, load_options
from pajamas.types import GenerateRequest, LoadOptions, Sampling

LONG = {"json_schema": {"type": "object"}, "template_variables": {"a": 1}, "logit_bias": {3: -1.0}}


def test_request_and_sampling_options_side_by_side():
    request = generate_request({"prompt": "x", "max_tokens": 5, "temperature": 0, "top_k": np.int64(3), "stop": "."})

    assert request == GenerateRequest(prompt="x", max_tokens=5, stop=(".",), sampling=Sampling(temperature=0, top_k=3))


def test_lists_stand_for_tuples():
    messages = [{"role": "user", "content": "x"}]
    tools = [{"type": "function"}]

    request = generate_request({"messages": messages, "tools": tools, "token_ids": [1, 2], "stop": ["a", "b"]})

    assert request == GenerateRequest(messages=tuple(messages), tools=tuple(tools), token_ids=(1, 2), stop=("a", "b"))


def test_every_option_of_the_records_is_taken():
    for record, build in (
        (LoadOptions, load_options),
        (Sampling, generate_request),
        (GenerateRequest, generate_request),
    ):
        for field in attrs.fields(record):
            if field.name == "sampling":
                continue
            value = LONG.get(field.name, field.default)
            if isinstance(field.default, attrs.Factory):
                value = LONG.get(field.name, field.default.factory())
            made = build({field.name: value})
            assert getattr(made.sampling if record is Sampling else made, field.name) == value


@pytest.mark.parametrize("name, near", [("temprature", "temperature"), ("max_token", "max_tokens"), ("topk", "top_k")])
def test_an_unknown_request_option_is_refused_with_the_nearest(name, near):
    with pytest.raises(UsageError) as caught:
        generate_request({"prompt": "x", name: 1})

    assert repr(name) in caught.value.what
    assert near in caught.value.fix


def test_an_unknown_load_option_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="context_length"):
        load_options({"contextlength": 5})


def test_an_option_that_is_like_none_lists_all():
    with pytest.raises(UsageError, match="flash_attention"):
        load_options({"zzz": 5})


def test_sampling_is_not_an_option_beside_its_own_fields():
    with pytest.raises(UsageError, match="sampling"):
        generate_request({"sampling": Sampling()})


@pytest.mark.parametrize(
    "name, value",
    [
        ("temperature", "hot"),
        ("temperature", True),
        ("temperature", float("nan")),
        ("max_tokens", 1.5),
        ("max_tokens", True),
        ("raw", 1),
        ("raw", None),
        ("prompt", b"x"),
        ("mode", "fast"),
        ("mode", []),
        ("stop", [1]),
        ("stop", 5),
        ("messages", {"role": "user"}),
        ("messages", ["hello"]),
        ("token_ids", "12"),
        ("token_ids", ["a"]),
        ("logit_bias", [1]),
        ("logit_bias", {"5": 1.0}),
        ("logit_bias", {5: "much"}),
        ("json_schema", "object"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(name, value):
    with pytest.raises(UsageError, match=f"'{name}' cannot be"):
        generate_request({name: value})


@pytest.mark.parametrize("name, value", [("context_length", "4096"), ("mmap", "no"), ("device", 0)])
def test_a_load_value_of_another_type_is_refused_by_name(name, value):
    with pytest.raises(UsageError, match=f"'{name}' cannot be"):
        load_options({name: value})


def test_it_does_not_matter_whether_cattrs_has_resolved_the_records():
    from pajamas.worker.protocol import from_json, to_json

    request = generate_request({"prompt": "x", "mode": "thinking"})

    assert generate_request({"prompt": "x", "mode": "thinking"}) == from_json(to_json(request), GenerateRequest)


def test_an_option_of_a_plugin_in_the_wrong_place_is_told_where_it_goes():
    with pytest.raises(UsageError) as caught:
        pajamas.run("validate", quantized="no-such-folder/model.gguf", windows=1)

    assert "'windows'" in caught.value.what and "options={'windows': 1}" in caught.value.fix
