"""What `pajamas --help` and `--version` load, and how errors leave the program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cliprogram import here

HEAVY = (
    "pluggy", "numpy", "attrs", "attr", "cattrs", "rich", "prompt_toolkit", "huggingface_hub", "jinja2", "llama_cpp",
    "gguf", "torch", "pajamas_gguf", "pajamas_tiny", "pajamas.plugins", "pajamas.core",
)  # fmt: skip

PROGRAM = """
import sys
from pajamas.cli import main
sys.argv = ["pajamas", *{arguments!r}]
try:
    main.{entry}()
finally:
    sys.stderr.write("LOADED " + " ".join(sys.modules))
"""


def start(*arguments: str, entry: str = "main", **options):
    program = PROGRAM.format(arguments=list(arguments), entry=entry)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, **options)


@pytest.mark.parametrize("arguments", [(), ("--help",), ("--version",), ("no-such-command",)])
@pytest.mark.parametrize("entry", ["main", "quant_main", "run_main"])
def test_start_loads_no_engine_no_plugin_and_no_heavy_library(arguments, entry):
    done = start(*arguments, entry=entry)

    loaded = set(done.stderr.rpartition("LOADED ")[2].split())
    assert "click" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_help_names_every_command():
    from pajamas.cli.main import COMMANDS

    text = start("--help").stdout

    assert all(f"  {name} " in text for name in COMMANDS)


def test_every_command_has_its_own_help_with_an_exit_code_of_zero():
    from click.testing import CliRunner

    from pajamas.cli.main import COMMANDS, pajamas

    for name in COMMANDS:
        result = CliRunner().invoke(pajamas, [name, "--help"])
        assert (name, result.exit_code) == (name, 0)
        assert result.output.startswith(f"Usage: pajamas {name}")


def test_the_older_names_have_their_commands():
    assert "convert" in start("--help", entry="quant_main").stdout
    text = start("--help", entry="run_main").stdout
    assert "generate" in text and "chat" in text and "convert" not in text


def test_a_misspelt_command_is_a_usage_error_with_a_hint():
    done = start("conver")

    assert done.returncode == 2
    assert "'convert'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("convert", "--formats", "echo", "--profile", "fast", "--model", "tiny"), 2),
        (("generate", "--model", "./no-such-file.gguf", "hello"), 3),
        (("verify", "no-such-folder"), 3),
        (("--backend", "papyrus", "generate", "--model", "tiny", "hello"), 2),
        (("--backend", "echo", "list"), 2),
        (("generate", "--model", "", "hello"), 2),
        (("generate", "--model", "tiny", "--temperature", "nan", "hello"), 2),
        (("generate", "--model", "tiny", "  "), 2),
        (("generate", "--model", "tiny", "--messages", "no-such-file"), 2),
        (("convert", "--model", "tiny", "--formats", "papyrus", "--dry-run"), 4),
        (("info", "./no-such-folder"), 3),
    ],
)
def test_an_error_has_its_exit_code_says_what_and_why_and_shows_no_traceback(arguments, code):
    done = here(["pajamas", *arguments])

    assert done.returncode == code
    assert b"Error" in done.stderr
    assert b"Traceback" not in done.stderr


def test_the_exit_code_is_that_of_the_process():
    done = start("info", "./no-such-folder")

    assert done.returncode == 3
    assert done.stderr.startswith("Error: ") and "Traceback" not in done.stderr


@pytest.mark.parametrize(("before", "after"), [(("-v",), ()), ((), ("-v",)), ((), ("--trace-hooks", "--verbose"))])
def test_what_is_done_is_said_wherever_that_is_asked_for(tmp_path, before, after):
    done = start(*before, "info", *after, str(tmp_path))

    assert done.returncode == 4
    assert f"pajamas: The model {tmp_path} is {tmp_path}." in done.stderr


@pytest.mark.parametrize("command", ["generate", "chat"])
def test_standard_input_that_is_not_utf8_is_an_error_and_no_traceback(command):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(arguments=[command, "--model", "tiny"], entry="main")],
        input=b"\xff\xfe\x00", capture_output=True, timeout=60,
    )  # fmt: skip

    assert done.returncode in (2, 4)
    assert b"Traceback" not in done.stderr


def test_a_full_disk_behind_standard_output_is_an_error_and_no_traceback():
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(arguments=["list"], entry="main")],
            stdout=full, stderr=subprocess.PIPE, timeout=60,
        )  # fmt: skip

    assert done.returncode == 1
    assert b"standard output cannot be written to" in done.stderr
    assert b"Traceback" not in done.stderr
