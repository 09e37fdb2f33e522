"""How many workers a model should have: counts in, actions out. Nothing here waits, starts or kills."""

from __future__ import annotations

import math

from attrs import frozen


@frozen(kw_only=True)
class WorkerView:
    """One worker that is starting or ready; those that are ending are not seen."""

    id: int
    ready: bool
    busy: int
    """Requests that it answers."""
    idle_since: float
    """When its last request ended, or it became ready; infinite while a call uses it that takes no slot."""


@frozen(kw_only=True)
class PoolView:
    """One model's workers and the requests that wait for them."""

    workers: tuple[WorkerView, ...]
    slots: int
    """Of one worker."""
    waiting: int
    """Requests without a slot."""
    oldest_wait: float
    """Seconds that the first of them has waited."""
    min_workers: int
    """0 for a model that is not pinned."""
    max_workers: int
    idle_timeout: float
    scale_delay: float
    now: float


@frozen(kw_only=True)
class Actions:
    start: int = 0
    """How many workers to start."""
    stop: tuple[int, ...] = ()
    """Ids of idle workers to end."""


def decide(view: PoolView) -> Actions:
    """Start workers for requests that wait, end those that nobody has needed for long.

    Slots come first: a worker is started only for requests that the slots there are, and those that are on their way,
    cannot take, and beside one that is ready only once they have waited for `scale_delay`.
    """
    count = len(view.workers)
    wanted = view.min_workers
    if view.waiting:
        busy = sum(worker.busy for worker in view.workers)
        needed = math.ceil((busy + view.waiting) / view.slots)
        is_new = not any(worker.ready for worker in view.workers) or view.oldest_wait >= view.scale_delay
        wanted = max(wanted, needed if is_new else count, 1)
    wanted = min(wanted, max(view.max_workers, view.min_workers))
    if wanted > count:
        return Actions(start=wanted - count)
    if view.waiting:
        return Actions()
    idle = sorted(
        (worker for worker in view.workers if worker.ready and not worker.busy), key=lambda worker: worker.idle_since
    )
    expired = [worker.id for worker in idle if view.now - worker.idle_since >= view.idle_timeout]
    return Actions(stop=tuple(expired[: max(0, count - view.min_workers)]))
