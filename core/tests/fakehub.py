"""A FAKE of the Hugging Face Hub: a local HTTP server that speaks as much of its API as huggingface_hub 2.4.0 uses.

Model info with file sizes and digests, the paged tree, HEAD and GET of files with ETag, X-Repo-Commit, X-Linked-Size
and ranges, large files by redirect to another origin (the fake's CDN), error codes, gated repositories. On demand it
cuts connections, damages contents, ignores ranges or fails. Every request is noted in `log`.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

TOKEN = "hf_granted"
STRANGER = "hf_not_granted"  # a good token of an account without access to gated repositories
PAGE = 3  # entries of one page of the tree


class Request:
    def __init__(self, handler):
        self.method = handler.command
        self.path = unquote(handler.path)
        self.range = handler.headers.get("Range")
        self.token = handler.headers.get("Authorization")
        self.host = handler.headers.get("Host")
        self.sent = 0

    def __repr__(self):
        return f"{self.method} {self.path} {self.range or ''} -> {self.sent}"


class Revision:
    def __init__(self, files):
        self.files = dict(files)
        self.commit = hashlib.sha1(
            repr(sorted((n, hashlib.sha1(d).hexdigest()) for n, d in files.items())).encode()
        ).hexdigest()
        self.listed_sizes = {}  # lies about sizes


class Repository:
    def __init__(self, files, gated=False):
        self.gated = gated
        self.revisions = {"main": Revision(files)}

    def find(self, revision):
        by_commit = {found.commit: found for found in self.revisions.values()}
        return self.revisions.get(revision) or by_commit.get(revision)


class FakeHub:
    """Use as a context manager; `environment` points huggingface_hub at it."""

    def __init__(self):
        self._closing = threading.Event()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self):
                hub.answer(self)

            def do_GET(self):
                hub.answer(self)

            def log_message(self, *words):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.reset()
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def reset(self):
        self.repositories: dict[str, Repository] = {}
        self.log: list[Request] = []
        self.cuts: dict[str, list[int]] = {}  # file name: after how many bytes each of the next answers breaks off
        self.stalls: dict[str, int] = {}  # file name: after how many bytes its next answer falls silent
        self.damaged: set[str] = set()  # file names whose content is served with one bit flipped
        self.failures: list[int] = []  # statuses that the next requests are answered with
        self.ranges = True
        self.silent = False  # accept, and never answer
        self.xet: dict[str, str] = {}  # file name: its hash in xet storage
        self.cas = f"http://127.0.0.1:{self.port}/no-cas"  # where xet storage is said to be

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def store_in_xet(self, folder: Path, files):
        """Put large files into real xet storage, in a local folder, by the real hf_xet."""
        hf_xet = pytest.importorskip("hf_xet")

        self.cas = f"local://{folder}"
        with hf_xet.XetSession().new_upload_commit(endpoint=self.cas) as commit:
            uploads = {
                name: commit.start_upload_bytes(data, sha256=hf_xet.COMPUTE_SHA256)
                for name, data in files.items()
                if is_large(name)
            }
        self.xet = {name: upload.result().xet_info.hash for name, upload in uploads.items()}

    def add(self, repo_id, files, *, gated=False):
        self.repositories[repo_id] = Repository(files, gated)
        return self.repositories[repo_id].revisions["main"]

    def environment(self, home: Path, **more: str) -> dict[str, str]:
        return {
            "HF_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DOWNLOAD_TIMEOUT": "5",
            "NO_PROXY": "*",
            **more,
        }

    def requests(self, name: str, method: str = "GET") -> list[Request]:
        """Requests for the content of a file, at the Hub itself (not its CDN)."""
        return [r for r in self.log if r.method == method and "/resolve/" in r.path and r.path.endswith("/" + name)]

    def sent(self, name: str) -> int:
        """Bytes of a file's content that went over the wire."""
        return sum(r.sent for r in self.log if r.path.endswith("/" + name))

    # --- answering ----------------------------------------------------------------------------------------------

    def answer(self, handler):
        request = Request(handler)
        self.log.append(request)
        if self.silent:
            self._closing.wait()
            handler.close_connection = True
            return
        if self.failures:
            self._reply(handler, self.failures.pop(0), b"{}")
            return
        path = urlsplit(handler.path)
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", path.path):
            self._info(handler, found[1], unquote(found[2] or "main"))
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path.path):
            self._tree(handler, found[1], unquote(found[2]), parse_qs(path.query))
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path.path):
            self._resolve(handler, request, found[1], unquote(found[2]), unquote(found[3]))
        elif path.path == "/xet-token":
            headers = {"X-Xet-Cas-Url": self.cas, "X-Xet-Access-Token": "x", "X-Xet-Token-Expiration": "9999999999"}
            self._reply(handler, 200, b"{}", headers)
        elif found := re.fullmatch(r"/cdn/([^/]+/[^/]+)/([^/]+)/(.+)", path.path):
            data = self.repositories[found[1]].find(found[2]).files[unquote(found[3])]
            self._content(handler, request, unquote(found[3]), data, {"ETag": '"of-the-cdn"'})
        else:
            self._reply(handler, 404, b"{}")

    def _revision(self, handler, repo_id, revision):
        token = (handler.headers.get("Authorization") or "").removeprefix("Bearer ")
        repository = self.repositories.get(repo_id)
        if token and token not in (TOKEN, STRANGER):
            self._reply(handler, 401, b"{}", {"X-Error-Message": "Invalid credentials in Authorization header"})
        elif repository is None:  # without a token the Hub does not tell private from missing
            self._reply(
                handler, 404 if token else 401, b'{"error":"Repository not found"}', {"X-Error-Code": "RepoNotFound"}
            )
        elif repository.find(revision) is None:
            self._reply(handler, 404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        else:
            return repository, repository.find(revision), token
        return None

    def _entries(self, revision):
        for name, data in revision.files.items():
            size = revision.listed_sizes.get(name, len(data))
            sha1 = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            lfs = (
                {"size": size, "sha256": hashlib.sha256(data).hexdigest(), "pointerSize": 134}
                if is_large(name)
                else None
            )
            yield name, size, sha1, lfs

    def _info(self, handler, repo_id, revision):
        if (found := self._revision(handler, repo_id, revision)) is None:
            return
        siblings = [
            {"rfilename": name, "size": size, "blobId": sha1} | ({"lfs": lfs} if lfs else {})
            for name, size, sha1, lfs in self._entries(found[1])
        ]
        info = {"_id": "0", "id": repo_id, "modelId": repo_id, "sha": found[1].commit, "siblings": siblings}
        self._reply(handler, 200, json.dumps(info | {"gated": "auto" if found[0].gated else False}).encode())

    def _tree(self, handler, repo_id, revision, query):
        if (found := self._revision(handler, repo_id, revision)) is None:
            return
        entries = [
            {"type": "file", "path": name, "size": size, "oid": sha1}
            | ({"lfs": {"oid": lfs["sha256"], "size": lfs["size"], "pointerSize": 134}} if lfs else {})
            for name, size, sha1, lfs in self._entries(found[1])
        ]
        start = int(query.get("cursor", ["0"])[0])
        headers = {}
        if start + PAGE < len(entries):
            url = f"http://127.0.0.1:{self.port}/api/models/{repo_id}/tree/{revision}"
            headers["Link"] = f'<{url}?recursive=True&cursor={start + PAGE}>; rel="next"'
        self._reply(handler, 200, json.dumps(entries[start : start + PAGE]).encode(), headers)

    def _resolve(self, handler, request, repo_id, revision, name):
        if (found := self._revision(handler, repo_id, revision)) is None:
            return
        repository, found_revision, token = found
        commit = {"X-Repo-Commit": found_revision.commit}
        if repository.gated and token != TOKEN:
            self._reply(handler, 403 if token else 401, b"{}", {"X-Error-Code": "GatedRepo"} | commit)
            return
        data = found_revision.files.get(name)
        if data is None:
            self._reply(handler, 404, b"{}", {"X-Error-Code": "EntryNotFound"} | commit)
            return
        if not is_large(name):
            etag = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            self._content(handler, request, name, data, commit | {"ETag": f'"{etag}"'})
            return
        headers = commit | {
            # "localhost" is another origin than 127.0.0.1: a client must not send its token there
            "Location": f"http://localhost:{self.port}/cdn/{repo_id}/{found_revision.commit}/{name}",
            "X-Linked-Size": str(found_revision.listed_sizes.get(name, len(data))),
            "X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"',
        }
        if name in self.xet:
            refresh = f"http://127.0.0.1:{self.port}/xet-token"
            headers |= {"X-Xet-Hash": self.xet[name], "X-Xet-Refresh-Route": refresh}
        self._reply(handler, 302, b"", headers)

    def _content(self, handler, request, name, data, headers):
        if name in self.damaged:
            data = bytes([data[0] ^ 1]) + data[1:]
        start, stop, status = 0, len(data), 200
        if request.range and self.ranges:
            found = re.fullmatch(r"bytes=(\d+)-(\d*)", request.range)
            start, stop = int(found[1]), min(int(found[2] or len(data) - 1) + 1, len(data))
            if start >= stop:
                self._reply(handler, 416, b"", {"Content-Range": f"bytes */{len(data)}"})
                return
            status, headers = 206, headers | {"Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"}
        body = data[start:stop]
        cut = self.cuts[name].pop(0) if request.method == "GET" and self.cuts.get(name) else None
        stall = self.stalls.pop(name, None) if request.method == "GET" else None
        self._reply(
            handler, status, body, headers | {"Accept-Ranges": "bytes"}, request, cut if stall is None else stall
        )
        if stall is not None:
            self._closing.wait()

    def _reply(self, handler, status, body, headers=None, request=None, cut=None):
        handler.send_response(status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command == "HEAD":
            return
        part = body if cut is None else body[:cut]
        if request is not None:
            request.sent = len(part)  # before it goes: the client may ask at once
        try:
            handler.wfile.write(part)
            handler.wfile.flush()
        except OSError:  # the client has read enough
            handler.close_connection = True
        if cut is not None:
            handler.close_connection = True


def is_large(name: str) -> bool:
    """Whether the Hub would keep the file in large file storage."""
    return name.endswith((".safetensors", ".gguf", ".bin")) or name.endswith("tokenizer.json")
