"""The example backend as its users get it: from its wheel, beside core's, in a fresh environment."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from wheelhouse import DISTRIBUTIONS

from cliprogram import environment


@pytest.fixture
def run(install, tmp_path):
    """Runs a program of the fresh environment; a failure shows what it said."""
    programs = install("pajamas", "pajamas-tiny", "pajamas-echo").parent
    home = tmp_path / "home"
    home.mkdir()

    def run(program: str, *arguments: object) -> str:
        command = [programs / program, *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, cwd=tmp_path, env=environment(home, PATH="/usr/bin")
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_the_console_script_converts_and_echoes(run, tmp_path):
    assert "pajamas-echo 0.1.0" in run("pajamas", "plugins")
    run("pajamas", "convert", "--model", "tiny", "--formats", "echo")

    assert run("pajamas", "--backend", "echo", "generate", "--model", "tiny", "Hello") == "Hello\n"

    run("pajamas", "convert", "--model", "tiny", "--formats", "echo", "--output", tmp_path / "mine.echo")
    assert run("pajamas", "generate", "--model", tmp_path / "mine.echo", "Hello") == "Hello\n"


def test_its_own_conformance_test_passes_there(run, tmp_path):
    shutil.copytree(DISTRIBUTIONS["pajamas-echo"] / "tests", tmp_path / "tests")

    shown = run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")

    assert "TestEcho: backend echo (pajamas-echo 0.1.0)" in shown
    assert "conforms" in shown
