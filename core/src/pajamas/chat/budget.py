"""What a chat template may use up: steps, text and time, so that a hostile one ends.

Jinja's sandbox keeps templates away from Python's insides, but lets them loop and multiply for ever.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from jinja2.exceptions import SecurityError

MAX_STEPS = 5_000_000
"""Loop turns, calls and filters. A template of a thousand messages takes some ten thousand."""
MAX_SIZE = 512 << 20
"""What all values of one rendering may weigh together."""
MAX_VALUE = 16 << 20
"""What one value may weigh."""
MAX_SECONDS = 10.0
ITEM = 16
"""What an item of a list weighs beside its text; a character weighs one."""


class BudgetExceeded(SecurityError):
    """The template used up what it may."""


class Budget:
    def __init__(self, input_size: int) -> None:
        self.steps = MAX_STEPS
        self.size = MAX_SIZE + 64 * input_size
        self.value = MAX_VALUE + 8 * input_size
        self.deadline = time.monotonic() + MAX_SECONDS

    def spend(self, size: int) -> None:
        self.steps -= 1
        self.size -= size
        if self.steps < 0:
            raise BudgetExceeded(f"it takes more than {MAX_STEPS:,} steps")
        if size > self.value or self.size < 0:
            raise BudgetExceeded("it makes more text than a prompt can hold")
        if time.monotonic() > self.deadline:
            raise BudgetExceeded(f"it takes more than {MAX_SECONDS:.0f} seconds")


_current: ContextVar[Budget | None] = ContextVar("template_budget", default=None)


@contextmanager
def budget(input_size: int) -> Iterator[None]:
    """Everything that `spend` counts inside is one rendering of input that weighs `input_size`."""
    token = _current.set(Budget(input_size))
    try:
        yield
    finally:
        _current.reset(token)


def spend(size: int = 0) -> None:
    """Count one step that makes a value of this weight.

    Raises:
        BudgetExceeded: that was too much.
    """
    current = _current.get()
    if current is not None:
        current.spend(size)


def weight(value: Any) -> int:
    """What a value would take when printed: a list inside two lists counts twice.

    Stops counting where the value is already too large for the budget.
    """
    if isinstance(value, str):
        return len(value)
    current = _current.get()
    limit = current.value if current is not None else MAX_VALUE
    total, stack = 0, [value]
    while stack and total + ITEM * len(stack) <= limit:
        item = stack.pop()
        total += ITEM
        if isinstance(item, str):
            total += len(item)
        elif isinstance(item, dict):
            stack.extend(item)
            stack.extend(item.values())
        elif isinstance(item, list | tuple | set | frozenset):
            stack.extend(item)
    return total + ITEM * len(stack)
