"""Runs the documentation's commands in a folder, and what is installed there."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile

import cliprogram
from pajamas.entry_points import DISABLE_VARIABLE

PROGRAMS = ("pajamas", "llama-pajamas-quant", "llama-pajamas-run")


def run(command, folder):
    """The finished command of the shell: returncode, stdout, stderr as text."""
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


def install(folder):
    """Build the folder's wheel with what is here, and unpack it where later commands find it."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder.parent / "wheels", folder]
    done = subprocess.run(build, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    for wheel in (folder.parent / "wheels").glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(_site(folder))


def _site(folder):
    return folder.parent / "site"
