"""Work folders: gone when their run is, whatever has ended it, and safe from the runs of others."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pajamas.work_folder import work_folder

_KILLED = (
    "import os, sys; from pathlib import Path; from pajamas.work_folder import work_folder\n"
    "with work_folder(Path(sys.argv[1])) as folder: (folder / 'half').touch(); os.kill(os.getpid(), 9)"
)


def test_a_folder_is_there_for_its_block_only(tmp_path):
    with pytest.raises(ValueError, match="an error"), work_folder(tmp_path) as folder:
        (folder / "half").touch()
        raise ValueError("an error")

    assert not list(tmp_path.iterdir())


def test_those_of_living_processes_stay(tmp_path):
    with work_folder(tmp_path) as first, work_folder(tmp_path) as second:
        assert first.is_dir() and second.is_dir() and first != second


def test_what_a_killed_process_has_left_the_next_one_removes(tmp_path):
    subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], check=False)
    (left,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert (left / "half").exists()

    with work_folder(tmp_path) as folder:
        assert not left.exists() and folder.is_dir()
    assert not list(tmp_path.iterdir())
