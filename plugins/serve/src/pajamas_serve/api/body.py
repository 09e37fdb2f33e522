"""From the bytes of a request to its parameters."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pajamas_serve.api.requests import Strict
from pajamas_serve.errors import BadParameter

M = TypeVar("M", bound=Strict)

_LARGE = 2**16
"""Bytes."""
_DEEPEST = 128
"""Levels of lists and objects."""
_BRANCH = re.compile(r"(constrained-)?(str|int|float)|(list|dict|literal|function-\w+)\[.*\]|[A-Z]\w*")
"""What pydantic calls the branches of a union where it says which value is wrong."""


def parse_json(body: bytes) -> Any:
    """Raises BadParameter for what is no JSON, and for an object that says a thing twice: one would be ignored."""
    try:
        data = json.loads(body, parse_constant=_no_constant, object_pairs_hook=_object)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise BadParameter(None, f"The body is not JSON: {error}.", code="invalid_json") from None
    if body.count(b"[") + body.count(b"{") > _DEEPEST:  # else it cannot be
        _refuse_deep(data)
    return data


def _refuse_deep(data: Any) -> None:
    """Raises BadParameter for what those who read it later could not walk through by recursion."""
    level = [data]
    for _ in range(_DEEPEST + 1):
        level = [
            item for value in level if isinstance(value, dict | list)
            for item in (value.values() if isinstance(value, dict) else value)
        ]  # fmt: skip
        if not level:
            return
    raise _too_deep()


def _too_deep() -> BadParameter:
    return BadParameter(
        None, "The body is nested too deeply.", f"At most {_DEEPEST} levels are taken.", code="invalid_json"
    )


async def received(kind: type[M], body: bytes) -> M:
    """As `read`; a large body is read in a thread, not between other requests' tokens."""
    return await asyncio.to_thread(read, kind, body) if len(body) > _LARGE else read(kind, body)


def read(kind: type[M], body: bytes) -> M:
    """The request in `body`.

    Raises:
        BadParameter: it is no JSON object, or a parameter is unknown, missing or has a value that it cannot have.
    """
    data = parse_json(body)
    if not isinstance(data, dict):
        raise BadParameter(None, "The body is not a JSON object.", code="invalid_json")
    for name in kind.unsupported & data.keys():
        if data.pop(name) is not None:
            raise BadParameter(name, f"Unsupported parameter: {name!r}.", code="unsupported_parameter")
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise _explained(error, kind) from None


def _explained(error: ValidationError, kind: type[BaseModel]) -> BadParameter:
    """The first thing that is wrong; an unknown parameter goes before everything else."""
    found = error.errors(include_url=False, include_context=False)
    first = next((entry for entry in found if entry["type"] == "extra_forbidden"), found[0])
    name = _path(first["loc"])
    if first["type"] == "extra_forbidden":
        return BadParameter(
            name, f"Unknown parameter: {name!r}.", f"Known are: {', '.join(_names(kind))}." if "." not in name else "",
            code="unknown_parameter",
        )  # fmt: skip
    if first["type"] == "missing":
        return BadParameter(name, f"Missing required parameter: {name!r}.", code="missing_required_parameter")
    same = [entry["msg"] for entry in found if _path(entry["loc"]) == name]
    return BadParameter(name, f"Invalid value for {name!r}.", f"{', or '.join(dict.fromkeys(same))}.")


def _names(kind: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in kind.model_fields.items()]


def _path(location: tuple[int | str, ...]) -> str:
    """`("messages", 0, "role")` as "messages[0].role"; the branches of a union are no part of it."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif not _BRANCH.fullmatch(part):
            text += f".{part}" if text else part
    return text or "body"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise BadParameter(name, f"{name!r} is given twice in one object.", code="duplicate_parameter")
        seen.add(name)
    return made


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
