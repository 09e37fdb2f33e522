"""Starts real servers for the tests: `pajamas serve` in a process of its own, on a port of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

COUNT = Path(__file__).parents[3] / "core/tests/dists/count"
"""The distribution of backend `count`, which can fail in every way that an engine can."""

_MAIN = "import sys; from pajamas.cli.main import main; sys.argv[0] = 'pajamas'; main()"


class Server:
    """A running `pajamas serve`.

    Args:
        arguments: of the command; the port is chosen.
        environment: on top of this process's own.
        ready: wait for /health.
    """

    def __init__(self, *arguments, environment=None, ready=True):
        command = [sys.executable, "-c", _MAIN, "serve", "--port", "0", *map(str, arguments)]
        self.lines = []
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
        self._address = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        if (
            not until(lambda: self._address.is_set() or self.process.poll() is not None, 60)
            or not self._address.is_set()
        ):
            self.stop()
            raise AssertionError("the server did not start:\n" + "".join(self.lines))
        if ready:
            try:
                self.wait_ready()
            except BaseException:
                self.stop()  # else its reader would keep this process from ending
                raise

    @property
    def log(self):
        return "".join(self.lines)

    @property
    def v1(self):
        return f"{self.url}/v1"

    def wait_ready(self, path="/health", seconds=60):
        assert until(lambda: self.get(path)[0] == 200, seconds), f"{path} never said ready:\n{self.log}"

    def get(self, path, headers=None):
        """Status, headers and body (JSON where it is) of a GET."""
        return self._ask(urllib.request.Request(self.url + path, headers=headers or {}))

    def post(self, path, body, headers=None, timeout=120):
        """The same of a POST; what is no bytes is sent as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": "application/json", **(headers or {})}
        return self._ask(urllib.request.Request(self.url + path, data=data, headers=headers), timeout)

    def metric(self, name, **labels):
        """The sum of a metric's samples with these labels."""
        total = 0.0
        for line in self.get("/metrics")[2].splitlines():
            found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if found and found[1] == name:
                given = dict(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
                total += float(found[3]) if labels.items() <= given.items() else 0.0
        return total

    def workers(self):
        """Process ids of the workers that became ready, as the log has them."""
        return [int(pid) for pid in re.findall(r"is ready \(process (\d+)\)", self.log)]

    def stop(self, number=signal.SIGTERM):
        """Stop it; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(60)
        finally:
            self.process.kill()
            self._reader.join()
            self.process.stdout.close()
        return code

    def _ask(self, request, timeout=120):
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, dict(answer.headers), _parsed(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), _parsed(error.read())

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if found := re.search(r"at (http://\S+)/v1", line):
                self.url = found[1]
                self._address.set()


def count_model(folder, name="model", **details):
    """A file that backend `count` loads, with what its engine is to do."""
    path = Path(folder) / f"{name}.count"
    path.write_text(json.dumps(details))
    return path


def alive(pid):
    """Whether there is such a process, and it is not only waiting to be reaped."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status not in "ZX"


def until(condition, seconds=20.0):
    """Wait for `condition`; whether it came true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def _parsed(data):
    try:
        return json.loads(data)
    except ValueError:
        return data.decode()
