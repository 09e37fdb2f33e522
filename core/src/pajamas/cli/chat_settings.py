"""What `/set` can change in a chat, and how its values are written."""

from __future__ import annotations

import difflib
import json
from typing import Any

from attrs import fields

from pajamas.cli.generation_options import read_bias
from pajamas.errors import UsageError
from pajamas.types import Sampling

NAMES = (
    "mode",
    "max-tokens",
    *(field.name.replace("_", "-") for field in fields(Sampling)),
    "stop",
    "ignore-eos",
    "json-schema",
    "grammar",
)


def changed(options: dict[str, Any], argument: str) -> dict[str, Any]:
    """The options after `/set argument`: NAME VALUE sets one, NAME alone unsets it.

    Raises:
        UsageError: there is no such option. Whether the value fits it, `Runtime.check` says.
    """
    word, _, value = argument.partition(" ")
    name = word.removeprefix("--").replace("_", "-")
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES)
        fix = f"Did you mean {near[0]}?" if near else f"Options: {', '.join(NAMES)}."
        raise UsageError(f"There is no option {word!r}.", "", fix)
    key = name.replace("-", "_")
    rest = {other: old for other, old in options.items() if other != key}
    return {**rest, key: _value(key, value.strip())} if value.strip() else rest


def describe(options: dict[str, Any]) -> str:
    """What is set, an option a line."""
    if not options:
        return "No option is set: the model's own defaults hold."
    return "\n".join(f"{name.replace('_', '-')} {_written(value)}" for name, value in options.items())


def _value(key: str, text: str) -> Any:
    """The value as the library takes it. Text that is no JSON is itself: `thinking`, `END`."""
    if key == "logit_bias":
        try:
            return dict(read_bias(part) for part in text.split(","))
        except ValueError:
            fix = "/set logit-bias 42=-inf,43=1.5"
            raise UsageError(
                f"logit-bias cannot be {text!r}.", "It is TOKEN_ID=NUMBER, several by commas.", fix
            ) from None
    if key in ("grammar", "mode"):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if key == "stop":
        return tuple(value) if isinstance(value, list) else text
    return value


def _written(value: Any) -> str:
    if isinstance(value, dict) and all(isinstance(key, int) for key in value):
        return ",".join(f"{key}={number:g}" for key, number in value.items())
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
