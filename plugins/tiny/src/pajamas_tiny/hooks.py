"""The alias `tiny`: a small trained chat model that comes with the installation."""

from __future__ import annotations

from pathlib import Path

from pajamas.hookspecs import hookimpl

MODEL = Path(__file__).parent / "model"


@hookimpl
def model_aliases() -> dict[str, str]:
    return {"tiny": str(MODEL)}
