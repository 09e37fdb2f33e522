"""The command's options: each arrives where it is used, and what makes no sense is refused by name."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from pajamas.errors import UsageError
from pajamas_serve.command import command, server_settings
from pajamas_serve.server import check_address
from pajamas_serve.stop import command as stop


def settings_of(*arguments):
    return server_settings(command.make_context("serve", ["--model", "m=x", *arguments]).params)


@pytest.mark.parametrize(
    "arguments, place, value",
    [
        (("--idle-timeout", "7.5"), "pool.idle_timeout", 7.5),
        (("--idle-timeout", "0"), "pool.idle_timeout", 0.0),
        (("--memory-limit", "3"), "pool.memory_limit", 3 * 2**20),
        (("--max-queue", "9"), "pool.max_queue", 9),
        (("--queue-timeout", "0.5"), "pool.queue_timeout", 0.5),
        (("--stall-timeout", "900"), "pool.stall_timeout", 900.0),
        (("--slots", "3"), "pool.slots", 3),
        (("--max-workers", "4"), "pool.max_workers", 4),
        (("--min-workers", "2"), "pool.min_workers", 2),
        (("--python", "/usr/bin/python3"), "pool.python", Path("/usr/bin/python3")),
        (("--backend", "gguf"), "pool.backend", "gguf"),
        (("--context", "99"), "pool.options.context_length", 99),
        (("--threads", "2"), "pool.options.threads", 2),
        (("--gpu-layers", "5"), "pool.options.gpu_layers", 5),
        (("--kv-type", "q8_0"), "pool.options.kv_type", "q8_0"),
        (("--tensor-parallel", "2"), "pool.options.tensor_parallel", 2),
        (("--pipeline-parallel", "2"), "pool.options.pipeline_parallel", 2),
        (("--distributed", "ray"), "pool.options.distributed", "ray"),
        (("--request-timeout", "2"), "request_timeout", 2.0),
        (("--drain-timeout", "0"), "drain_timeout", 0.0),
        (("--max-body", "10"), "max_body", 10),
        (("--max-prompt-tokens", "10"), "max_prompt_tokens", 10),
        (("--max-tokens", "10"), "max_tokens", 10),
        (("--log-prompts",), "log_prompts", True),
        (("--alias", "b", "--alias", "c=m"), "aliases", {"b": "m", "c": "m"}),
        (("--cors-origin", "*"), "cors_origins", ("*",)),
        (("--cors-origin", "https://a.b:1", "--cors-origin", "app://x"), "cors_origins", ("https://a.b:1", "app://x")),
    ],
)
def test_an_option_arrives(arguments, place, value):
    found = settings_of(*arguments)
    for name in place.split("."):
        found = getattr(found, name)
    assert found == value


@pytest.mark.parametrize("option", ["--idle-timeout", "--queue-timeout", "--request-timeout", "--drain-timeout"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1", "1e300", "a", ""])
def test_times_are_finite(option, value):
    with pytest.raises(click.BadParameter, match=r"seconds|range"):
        settings_of(option, value)


def test_a_time_of_nothing():
    with pytest.raises(click.BadParameter, match="range 0<x"):
        settings_of("--request-timeout", "0")
    with pytest.raises(click.BadParameter, match="seconds"):
        stop.make_context("stop", ["--timeout", "nan"])


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--alias", ""), "--alias '' is empty"),
        (("--alias", "=m"), "--alias '=m' is empty"),
        (("--cors-origin", "bad origin"), "'bad origin' is no origin"),
        (("--cors-origin", "https://a.b/"), "is no origin"),
        (("--cors-origin", ""), "is no origin"),
        (("--host", ""), "--host is empty"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        settings_of(*arguments)


def test_there_is_one_style_of_api():
    assert settings_of("--api-style", "openai") == settings_of()
    with pytest.raises(click.BadParameter, match="openai"):
        settings_of("--api-style", "ollama")


def test_an_open_address_is_wanted_by_name():
    with pytest.raises(UsageError, match="no API key"):
        check_address(settings_of("--host", "0.0.0.0"))
    check_address(settings_of("--host", "0.0.0.0", "--insecure"))
    check_address(settings_of("--host", "0.0.0.0", "--api-key", "k"))


def test_the_guide_names_every_option():
    text = (Path(__file__).parents[3] / "docs/guide/serve.md").read_text(encoding="utf-8")
    options = [name for option in command.params for name in option.opts if name.startswith("--")]
    assert len(options) > 30 and not [name for name in options if not re.search(rf"{name}(?![\w-])", text)]
