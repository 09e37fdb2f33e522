"""The user's configuration file, config.toml: `load`.

[aliases]
work = "Qwen/Qwen3-8B@main"

[defaults]
model = "work"
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from pajamas.errors import UsageError

VARIABLE = "PAJAMAS_CONFIG"


@frozen(kw_only=True)
class Settings:
    path: Path
    """Where the file is, or would be."""
    aliases: Mapping[str, str] = field(factory=dict)
    model: str | None = None
    """What is used where no model is named."""


def config_path() -> Path:
    """The file named by PAJAMAS_CONFIG, else config.toml in the user's configuration folder."""
    import platformdirs

    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else platformdirs.user_config_path("pajamas") / "config.toml"


def load() -> Settings:
    """Read the configuration file; without one, everything is at its default.

    Raises:
        UsageError: the file cannot be read, is not TOML, or has a key that is not known; the message names both.
    """
    path = config_path()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        if os.environ.get(VARIABLE):
            raise UsageError(f"There is no file {path}", f"{VARIABLE} names it.", f"Unset {VARIABLE}.") from error
        return Settings(path=path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read.", str(error), "Give this user the right to read it.") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML.", str(error), "Correct that line.") from error
    _refuse_unknown(path, "", content, ("aliases", "defaults"))
    aliases = _table(path, content, "aliases")
    for name, source in aliases.items():
        if not isinstance(source, str) or not source:
            raise _wrong(path, f"aliases.{name}", "a model, as text")
    defaults = _table(path, content, "defaults")
    _refuse_unknown(path, "defaults.", defaults, ("model",))
    model = defaults.get("model")
    if model is not None and (not isinstance(model, str) or not model):
        raise _wrong(path, "defaults.model", "a model, as text")
    return Settings(path=path, aliases=aliases, model=model)


def _table(path: Path, content: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise _wrong(path, name, "a table")
    return table


def _refuse_unknown(path: Path, prefix: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            fix = f"Known are {', '.join(prefix + name for name in known)}."
            raise UsageError(f"{path} has the unknown key {prefix + key}", "", fix)


def _wrong(path: Path, key: str, wanted: str) -> UsageError:
    return UsageError(f"{key} in {path} is not {wanted}.", "", "Correct it.")
