"""For tests that kill a quantization or one of its children."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def children(module):
    """Process ids of the children of this process that run `module`; other tests leave children of their own."""
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(text) for text in found if module in Path(f"/proc/{text}/cmdline").read_text()]


def is_alive(process_id):
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def start(code, *arguments):
    """Run Python code that prints process ids in its first line: the process and these."""
    path = os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    line = process.stdout.readline().split()
    assert line, process.communicate()[1].decode()
    return process, [int(text) for text in line]
