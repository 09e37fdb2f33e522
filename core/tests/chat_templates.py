"""The chat templates that tests render: the bundled model's, and other people's beside the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT.parent / "shared" / "data" / "chat-templates"
TINY = ROOT / "plugins" / "tiny" / "src" / "pajamas_tiny" / "model" / "chat_template.jinja"


def template_text(name):
    path = TINY if name == "tiny" else TEMPLATES / name
    if not path.exists():
        pytest.skip(f"../shared/data/chat-templates/{name} is not here")
    return path.read_text(encoding="utf-8")
