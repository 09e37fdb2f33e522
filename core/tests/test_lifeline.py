"""Child processes that do not outlive their parent."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

LIMIT = 60
_CHILD = (
    "import os, sys, threading; from pajamas import lifeline\n"
    "channel = lifeline.take_channel(); lifeline.die_with_parent(); lifeline.leave_no_core_file()\n"
    "line = lifeline.first_line(); print('noise', flush=True)\n"
    "threading.Thread(target=lifeline.watch_parent, daemon=True).start()\n"
    "lifeline.write_all(channel, line[::-1] * 100_000 + b'\\n')\n"
    "threading.Event().wait()"
)


@pytest.fixture
def child():
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen([sys.executable, "-c", _CHILD], **pipes) as process:
        yield process
        process.kill()


def test_what_it_prints_is_not_mixed_with_what_it_says(child):
    child.stdin.write(b"request\n")
    child.stdin.flush()

    assert child.stdout.readline() == b"tseuqer" * 100_000 + b"\n"
    assert child.stderr.readline() == b"noise\n"


def test_it_ends_when_its_input_does(child):
    child.stdin.write(b"request\n")
    child.stdin.flush()
    child.stdout.readline()
    child.stdin.close()

    assert child.wait(LIMIT) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells of the parent's death on Linux only")
def test_it_ends_when_its_parent_is_killed_though_its_input_stays_open(tmp_path):
    """The input is a pipe whose other end this process holds."""
    reader, writer = os.pipe()
    program = (
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdin=int(sys.argv[2]), stdout=1)\n"
        "os.read(int(sys.argv[3]), 1); os.kill(os.getpid(), 9)"
    )
    told, tell = os.pipe()
    parent = subprocess.Popen(
        [sys.executable, "-c", program, _CHILD, str(reader), str(told)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=(reader, told),
    )  # fmt: skip
    os.write(writer, b"request\n")
    assert parent.stdout is not None
    parent.stdout.readline()  # the child is alive
    os.write(tell, b"x")
    parent.wait(LIMIT)
    rest = parent.stdout.read()  # ends when nobody holds the other end: the child is gone
    parent.stdout.close()
    for descriptor in (reader, writer, told, tell):
        os.close(descriptor)

    assert rest == b""
