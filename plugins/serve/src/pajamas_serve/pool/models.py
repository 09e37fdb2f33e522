"""Every model that the server offers, each with its pool, and the memory that they share."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator

from pajamas.errors import PajamasError
from pajamas_serve.errors import UnknownModel
from pajamas_serve.pool.member import Phase
from pajamas_serve.pool.memory import Memory
from pajamas_serve.pool.pool import ModelPool
from pajamas_serve.settings import ModelSpec, ServerSettings

log = logging.getLogger(__name__)

_TICK = 0.25


class Models:
    """Pools by model, and the clock that makes them look again."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self.memory = Memory(settings.pool.memory_limit, self._evict, self._is_busy)
        self.specs: dict[str, ModelSpec] = {spec.name: spec for spec in settings.models}
        self.pools: dict[str, ModelPool] = {
            spec.name: ModelPool(spec, settings.pool, self.memory) for spec in settings.models
        }
        self.embedding_pools: dict[str, ModelPool] = {}
        self._ticking: asyncio.Task[None] | None = None

    @property
    def all_pools(self) -> list[ModelPool]:
        return [*self.pools.values(), *self.embedding_pools.values()]

    def start(self) -> None:
        """Start the workers of pinned models."""
        for pool in self.all_pools:
            pool.review()
        self._ticking = asyncio.ensure_future(self._tick())

    async def close(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticking
        await asyncio.gather(*(pool.close() for pool in self.all_pools))

    def name(self, wanted: str | None) -> str:
        """The model that a request means; the first where it names none.

        Raises:
            UnknownModel: the server does not offer it.
        """
        if wanted is None:
            return self._settings.models[0].name
        name = self._settings.aliases.get(wanted, wanted)
        if name not in self.specs:
            raise UnknownModel(
                f"The model {wanted!r} does not exist.", f"This server offers: {', '.join(self.specs)}.", "Name one."
            )
        return name

    def pool(self, wanted: str | None, *, embeddings: bool = False) -> ModelPool:
        """Raises UnknownModel."""
        name = self.name(wanted)
        if not embeddings:
            return self.pools[name]
        if name not in self.embedding_pools:
            self.embedding_pools[name] = ModelPool(self.specs[name], self._settings.pool, self.memory, embeddings=True)
        return self.embedding_pools[name]

    @property
    def ready(self) -> bool:
        """Whether every pinned model has the workers that it is to have at least."""
        return all(pool.ready >= pool.min_workers for pool in self.pools.values())

    @property
    def alive(self) -> bool:
        """Whether every pinned model has a worker."""
        return all(pool.ready >= min(1, pool.min_workers) for pool in self.pools.values())

    @property
    def refused(self) -> PajamasError | None:
        """Why a pinned model can never be served."""
        pinned = (pool for pool in self.pools.values() if pool.min_workers and not pool.starts)
        return next((pool.refused for pool in pinned if pool.refused is not None), None)

    async def _evict(self, owner: object) -> bool:
        """End the idle worker that was needed least recently, of another model."""
        candidates = [
            (pool, m) for pool in self._spare(owner) if not pool.queue for m in pool.members.values() if m.idle
        ]
        if not candidates:
            return False
        pool, member = min(candidates, key=lambda candidate: candidate[1].idle_since)
        log.info("%s: worker %s goes to make room.", pool.spec.name, member.id)
        await pool.end(member)
        return True

    def _is_busy(self, owner: object) -> bool:
        """Whether other models have workers that are not idle now, and need not stay."""
        return any(self._spare(owner))

    def _spare(self, owner: object) -> Iterator[ModelPool]:
        """Pools with more workers than they must have."""
        for pool in self.all_pools:
            count = sum(member.phase is not Phase.ENDING for member in pool.members.values())
            if pool is not owner and count > pool.min_workers:
                yield pool

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            for pool in self.all_pools:
                pool.review()
