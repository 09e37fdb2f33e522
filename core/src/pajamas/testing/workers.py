"""A backend's session in a process of its own."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pajamas.testing.children import same_path
from pajamas.testing.group import Group, require
from pajamas.types import GenerateRequest, Sampling

if TYPE_CHECKING:
    from pajamas.types import Artifact, Session

REQUEST = GenerateRequest(prompt="The capital of France is", max_tokens=24, sampling=Sampling(temperature=0.0))
MARK = "PAJAMAS_KIT_WORKER"
GRACE = 30.0
"""Seconds after which a process that should be gone is held to have been left behind."""


class Workers(Group):
    """The same answers from a worker process."""

    @pytest.fixture
    def mark(self, monkeypatch: pytest.MonkeyPatch) -> str:
        """A text that stands in the environment of the worker and of all that it starts, and in no other."""
        if os.name != "posix":
            pytest.skip("worker processes need POSIX")
        mark = uuid.uuid4().hex
        monkeypatch.setenv(MARK, mark)
        for name, value in same_path().items():
            monkeypatch.setenv(name, value)
        return mark

    def test_a_worker_gives_the_same_answer(self, artifact: Artifact, session: Session, mark: str) -> None:
        """At temperature 0 a session in a worker process gives the very tokens that it gives in this process.

        `pajamas serve` and `isolated=True` run every backend so: a session may not depend on the process it is in.
        """
        from pajamas.worker.client import WorkerSession

        here = _tokens(session)
        worker = WorkerSession.start(self.backend, artifact, self.load_options)
        try:
            there = _tokens(worker)
            facts = (worker.context_length, worker.features, worker.chat_template)
        finally:
            worker.close()
        require(
            here == there,
            f"In this process the answer is {here!r}, in a worker {there!r}.",
            "Look for state outside the session: globals, environment variables, the working directory, the clock.",
        )
        require(
            facts == (session.context_length, session.features, session.chat_template),
            f"In a worker context_length, features and chat_template are {facts!r}.",
            "They may depend on the artifact and the options only.",
        )

    @pytest.mark.usefixtures("session")  # an artifact that does not load is told of by test_the_artifact_loads
    def test_closing_leaves_no_process(self, artifact: Artifact, mark: str) -> None:
        """When a session in a worker is closed, no process is left: neither the worker nor any that it has started."""
        from pajamas.worker.client import WorkerSession

        worker = WorkerSession.start(self.backend, artifact, self.load_options)
        try:
            for _ in worker.generate(REQUEST):
                break  # closed in the middle of an answer
        finally:
            worker.close()
        deadline = time.monotonic() + GRACE
        while (left := list(_processes(worker.pid, mark))) and time.monotonic() < deadline:
            time.sleep(0.05)
        require(
            not left,
            f"After close() these processes are left: {'; '.join(left)}.",
            "End in `close` whatever the session has started; do not detach processes from its process group.",
        )


def _tokens(session: Session) -> tuple[tuple[int, ...], str]:
    chunks = list(session.generate(REQUEST))
    return tuple(token for chunk in chunks for token in chunk.token_ids), "".join(chunk.text for chunk in chunks)


def _processes(pid: int, mark: str) -> Iterator[str]:
    """Processes that still belong to the worker, as a person would look for them."""
    if not Path("/proc/self/environ").exists():  # not Linux: its own group at least
        try:
            os.killpg(pid, 0)
        except (ProcessLookupError, PermissionError):
            return
        yield str(pid)
        return
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                environment = (folder / "environ").read_bytes()
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:  # another user's, or gone
                continue
            if f"{MARK}={mark}".encode() in environment:
                yield f"{folder.name} {command.strip()[:80]}"
