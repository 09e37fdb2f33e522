"""A FAKE of the Hub that has one file of the dataset wikitext2's repository."""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pajamas_validate.datasets import DATASETS

PATH = "/datasets/{0.repo_id}/resolve/{0.revision}/{0.file}".format(DATASETS["wikitext2"])


@contextmanager
def dataset_hub(archive, home):
    """The environment that leads to it, with huggingface_hub's folders in `home`, and a list of what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self._answer(b"")

        def do_GET(self):
            self._answer(archive)

        def _answer(self, body):
            asked.append(f"{self.command} {self.path}")
            found = self.path == PATH
            self.send_response(200 if found else 404)
            for name, value in {
                "ETag": f'"{hashlib.sha256(archive).hexdigest()}"',
                "X-Repo-Commit": DATASETS["wikitext2"].revision,
                "Content-Length": str(len(archive) if found else 0),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body if found else b"")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        environment = {
            **os.environ,
            "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "*",
        }
        # Either would lead past `home`, or keep it from being asked.
        for name in ("HF_HUB_OFFLINE", "HF_HUB_CACHE"):
            environment.pop(name, None)
        yield environment, asked
        server.shutdown()
        thread.join()
