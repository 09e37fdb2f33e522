"""Roles and keys of messages: what a template would pass over in silence is refused by name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2 import nodes

from pajamas.chat.sandbox import environment
from pajamas.errors import UsageError

ROLES = ("system", "developer", "user", "assistant", "tool")
"""Of OpenAI's messages."""
_NEWER = ("developer", "tool")
"""Roles that some templates do not know."""
KEYS = ("role", "content", "name", "tool_calls", "tool_call_id", "reasoning_content", "reasoning", "thinking")
"""Of OpenAI's messages, and the names that reasoning comes under."""


@functools.lru_cache(maxsize=32)
def named_in(template: str) -> frozenset[str]:
    """Every attribute and every text that a sound template writes out: the roles and keys that it asks for."""
    tree = environment().parse(template)
    attributes = {node.attr for node in tree.find_all(nodes.Getattr)}
    return frozenset(attributes | {node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str)})


def refuse_unread(messages: Iterable[Mapping[str, Any]], named: frozenset[str], printed: Callable[[str], bool]) -> None:
    """Raises UsageError for a role or a key that would leave no trace in the prompt.

    Args:
        messages: as `normalise_messages` gives them.
        named: what the template names; see `named_in`.
        printed: whether the template prints messages of a role of OpenAI's that it does not name.
    """
    for number, message in enumerate(messages, 1):
        role = message["role"]
        if role not in named and role not in ROLES:
            raise UsageError(
                f"message {number} has the role {role!r}, which is none",
                f"roles are {', '.join(ROLES)}, and the model's chat template knows no other",
                "correct the role",
            )
        if role in _NEWER and role not in named and not printed(role):
            raise UsageError(
                f"the model's chat template leaves out message {number}",
                f"it prints nothing of the role {role!r}",
                'use the role "system"' if role == "developer" else "leave the message out, or use another model",
            )
        for key, value in message.items():
            if key not in KEYS and key not in named and value not in ("", [], {}, False):
                raise UsageError(
                    f"message {number} has a key {key!r} that nothing reads",
                    f"keys are {', '.join(KEYS)}, and the model's chat template knows no such one",
                    f"leave {key!r} out, or correct it",
                )
