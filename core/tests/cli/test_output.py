"""What a person sees, without a model."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from pajamas.cli import logs, output
from pajamas.cli.progress_lines import Lines
from pajamas.cli.table import print_table
from pajamas.errors import ModelNotFound
from pajamas.types import TokenLogprob


def test_an_error_has_a_line_each_for_what_why_and_what_to_do(capsys):
    output.show_error(ModelNotFound("no model", "it is\nnot there", "look elsewhere"))

    assert capsys.readouterr().err == "Error: no model\n  Why: it is not there\n  Do:  look elsewhere\n"


@pytest.mark.parametrize("text", [
    "There is none.", "x.gguf is whole: y.gguf", "pajamas-x 1.0: it fails (why?)", "out ü/a  b/gguf is there already.",
    "pc x.bin", "mlx cannot do it",
])  # fmt: skip
def test_names_and_paths_in_an_error_stay_as_they_are(capsys, text):
    output.show_error(ModelNotFound(text, text, text))

    assert capsys.readouterr().err == f"Error: {text}\n  Why: {text}\n  Do:  {text}\n"


def test_text_of_others_cannot_steer_the_terminal(capsys):
    output.show_error(ModelNotFound("tensor '\x1b[2Jblk\x07'"))
    output.say("name\x9b31m")

    shown = capsys.readouterr()
    assert "\x1b" not in shown.err + shown.out
    assert "\\x1b[2Jblk\\x07" in shown.err


@pytest.mark.parametrize(("variables", "color"), [({}, None), ({"NO_COLOR": "1"}, False), ({"FORCE_COLOR": "1"}, True)])
def test_colour_follows_the_environment(monkeypatch, variables, color):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert output.color() is color


def test_a_table_aligns_numbers_and_leaves_nothing_behind(capsys):
    print_table(("name", "size", "path"), [("a", "1 B", "x"), ("longer", "12.00 MB", "/y z")], right=(1,))

    lines = capsys.readouterr().out.splitlines()
    assert lines == ["name        size  path", "a            1 B  x", "longer  12.00 MB  /y z"]


def test_records_become_json_of_its_own_types(capsys):
    entry = TokenLogprob(token_id=1, token="é", bytes=b"\xc3\xa9", logprob=float("-inf"))
    output.print_json({"path": Path("a/b"), "words": frozenset("ba"), "entry": entry, "error": ModelNotFound("no")})

    record = json.loads(capsys.readouterr().out)
    assert record["path"] == "a/b"
    assert record["words"] == ["a", "b"]
    assert record["entry"]["bytes"] == [195, 169] and record["entry"]["logprob"] is None
    assert record["error"] == {"error": "ModelNotFound", "what": "no", "why": "", "fix": ""}


def test_progress_without_a_terminal_is_a_line_a_stage(capsys):
    lines = Lines()
    with lines.stage("Copying", 2_000_000, "bytes") as stage:
        stage.advance(2_000_000)
    with pytest.raises(ValueError), lines.stage("Counting", 10, "tensors") as stage:
        stage.advance(4)
        raise ValueError

    copied, counted = capsys.readouterr().err.splitlines()
    assert copied.startswith("Copying: 2.00 MB, done in ")
    assert counted == "Counting: 4 tensors of 10 tensors (40 %), stopped"


@pytest.mark.parametrize("verbose", [False, True])
def test_warnings_of_other_libraries_are_heard_only_on_request(capsys, verbose):
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        logs.show(verbose=verbose)
        logging.getLogger("pajamas.x").warning("ours")
        logging.getLogger("pajamas_gguf").info("details")
        logging.getLogger("elsewhere").warning("theirs")
        shown = capsys.readouterr().err.splitlines()
    finally:
        root.handlers[:], root.level = before[0], before[1]

    assert "Warning: ours" in shown
    assert ("Warning: theirs" in shown) is verbose
    assert ("pajamas_gguf: details" in shown) is verbose
