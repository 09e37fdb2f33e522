"""Starts workers of one model: what to load is looked up once, and room is made before each load."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import evolve

from pajamas.errors import PajamasError
from pajamas.types import Feature, LoadOptions
from pajamas.worker.asynchronous import AsyncWorker
from pajamas.worker.background import in_background
from pajamas_serve.pool.estimate import PROCESS, predict
from pajamas_serve.pool.selection import Loadable, select

if TYPE_CHECKING:
    from pathlib import Path

    from pajamas_serve.pool.member import Member
    from pajamas_serve.pool.memory import Memory
    from pajamas_serve.settings import ModelSpec, PoolSettings

_THREAD = "pajamas-look-up"

Stamp = tuple[int, int, int] | None


class Loader:
    """Args: owner: whose other workers must not go to make room."""

    def __init__(
        self, spec: ModelSpec, settings: PoolSettings, memory: Memory, owner: object, *, embeddings: bool
    ) -> None:
        self._spec = spec
        self._settings = settings
        self._memory = memory
        self._owner = owner
        self._embeddings = embeddings
        self._selecting: asyncio.Task[tuple[Loadable, Stamp]] | None = None
        self._size: int | None = None
        """Bytes that a worker takes: predicted, then as the first one says."""

    async def start(self, member: Member, on_exit: Callable[[PajamasError], None]) -> AsyncWorker:
        """Load the model for `member`, whose memory is reserved from here until it is released.

        Raises:
            NotEnoughMemory: there is no room for it.
            PajamasError: it cannot be found or loaded.
        """
        loadable, stamp = await self._select()
        if stamp != await in_background(lambda: _stamp(loadable.artifact.path), _THREAD):  # replaced, or gone
            self._selecting = self._size = None
            loadable, _ = await self._select()
        options = self._options(loadable)
        if self._size is None:
            self._size = await in_background(lambda: predict(loadable.artifact, options), _THREAD)
        await self._memory.reserve(member, self._size, self._owner)
        settings = self._settings
        worker = await AsyncWorker.start(
            loadable.backend, loadable.artifact, options,
            python=loadable.python, heartbeat=settings.heartbeat, patience=settings.patience, on_exit=on_exit,
        )  # fmt: skip
        self._size = worker.facts.memory.total + PROCESS
        self._memory.ledger.loaded(member, self._size)
        return worker

    async def _select(self) -> tuple[Loadable, Stamp]:
        """Looked up once, whoever asks; again after it has failed."""
        if self._selecting is None or (self._selecting.done() and self._selecting.exception() is not None):
            needs = frozenset({Feature.EMBEDDINGS} if self._embeddings else ())
            self._selecting = asyncio.ensure_future(
                in_background(lambda: _select(self._spec, self._settings, needs), _THREAD)
            )
        return await asyncio.shield(self._selecting)

    def _options(self, loadable: Loadable) -> LoadOptions:
        options = self._settings.options
        parallel = Feature.PARALLEL in loadable.features and not self._embeddings
        return evolve(
            options,
            device=loadable.device or options.device,
            max_sequences=self._settings.slots if parallel else 1,
            embeddings=self._embeddings,
        )


def _select(spec: ModelSpec, settings: PoolSettings, needs: frozenset[Feature]) -> tuple[Loadable, Stamp]:
    found = select(spec, settings, needs)
    return found, _stamp(found.artifact.path)


def _stamp(path: Path) -> Stamp:
    """Changes when another file is put there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
