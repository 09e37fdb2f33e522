"""`python -m pajamas.worker`: the child side of a worker. Started by `pajamas.worker.process`, never by hand."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    if len(sys.argv) != 5:
        sys.exit("pajamas.worker is started by pajamas itself")
    parent, requests, answers, blocks = map(int, sys.argv[1:])
    _die_with(parent)
    for descriptor in (requests, answers, blocks):
        os.set_inheritable(descriptor, False)  # processes that the engine starts must not keep the pipes open
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the client's to handle
    from pajamas.worker.server import Server

    Server(requests, answers, blocks).run()


def _die_with(parent: int) -> None:
    """Be killed when the parent goes. The end of the request pipe says so too, but only a running thread sees it."""
    if sys.platform == "linux":
        import ctypes

        set_parent_death_signal = 1  # PR_SET_PDEATHSIG of prctl(2)
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the process that started this worker is gone")


if __name__ == "__main__":
    main()
