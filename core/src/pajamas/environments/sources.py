"""How the installed pajamas gets into another environment: from where pip or uv had it for this one."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname


def pip_arguments(distribution: str) -> tuple[str, ...]:
    """What pip installs the same distribution by: `-e folder`, a folder, an archive, a URL, or `name==version`.

    Source: the "Direct URL" specification of the packaging guide, which pip and uv write into direct_url.json.
    """
    found = importlib.metadata.distribution(distribution)
    name, released = found.metadata["Name"], f"{found.metadata['Name']}=={found.version}"
    try:
        origin: dict[str, Any] = json.loads(found.read_text("direct_url.json") or "{}")
        url = str(origin.get("url", ""))
    except (OSError, ValueError, AttributeError):
        return (released,)
    if "vcs_info" in origin:
        version = origin["vcs_info"].get("commit_id", "")
        return (f"{name} @ {origin['vcs_info'].get('vcs', 'git')}+{url}" + (f"@{version}" if version else ""),)
    if not url.startswith("file:"):
        return (f"{name} @ {url}",) if url else (released,)
    path = Path(url2pathname(urlsplit(url).path))
    if not path.exists():  # the wheel it was installed from is gone: a released one has the same version
        return (released,)
    editable = bool(origin.get("dir_info", {}).get("editable"))
    return ("-e", str(path)) if editable else (str(path),)
