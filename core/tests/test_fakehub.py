"""The fake Hub judged by huggingface_hub itself: its own snapshot_download must work with it."""

import json
import os
import subprocess
import sys
from pathlib import Path

from modelrepos import EXTRA, sharded

SNAPSHOT = """
import json, sys
from huggingface_hub import snapshot_download
print(json.dumps(snapshot_download("acme/parts", revision=sys.argv[1])))
"""


def test_snapshot_download(hub, home):
    files = sharded() | EXTRA
    revision = hub.add("acme/parts", files)
    hub.repositories["acme/parts"].revisions["refs/pr/1"] = revision

    for asked in ("main", "refs/pr/1"):
        output = subprocess.run(
            [sys.executable, "-c", SNAPSHOT, asked],
            env=os.environ | hub.environment(home),
            stdout=subprocess.PIPE,
            check=True,
            timeout=60,
        ).stdout
        folder = Path(json.loads(output))

        assert folder.name == revision.commit
        assert {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()} == files
