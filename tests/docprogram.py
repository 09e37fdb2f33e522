"""Runs the documentation's commands in a folder, and what is installed there.

A command of pajamas alone runs in this process, which has the engine imported already: importing it for each would take
most of the time. Whatever needs the shell, or a plugin that the page installs, runs in a process of its own.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import zipfile

import cliprogram
from pajamas.entry_points import DISABLE_VARIABLE


def run(command, folder):
    """The finished command: returncode, stdout, stderr as text."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)
    plain = words[0] in cliprogram.PROGRAMS and not any(set(word) <= set("|<>;&()") for word in words)
    return _here(words) if plain and not _site(folder).exists() else _by_shell(command, folder)


def install(folder):
    """Build the folder's wheel with what is here, and unpack it where later commands find it."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder.parent / "wheels", folder]
    done = subprocess.run(build, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    for wheel in (folder.parent / "wheels").glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(_site(folder))


def _site(folder):
    return folder.parent / "site"


def _here(words):
    done = cliprogram.here(words)
    return subprocess.CompletedProcess(words, done.returncode, done.stdout.decode(), done.stderr.decode())


def _by_shell(command, folder):
    found = [str(_site(folder)), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    variables = {
        "PATH": f"{cliprogram.SCRIPTS}:/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join(path for path in found if path),
        "COLUMNS": "100",
        DISABLE_VARIABLE: os.environ.get(DISABLE_VARIABLE, ""),
    }
    return subprocess.run(
        ["bash", "-ec", command],
        cwd=folder,
        env=cliprogram.environment(folder.parent / "home", **variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=2 * cliprogram.TIMEOUT,
    )
