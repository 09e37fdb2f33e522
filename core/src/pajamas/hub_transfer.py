"""Bytes of one file from the Hub over HTTP, taken up again where a connection breaks: `fetch`."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

# A connection that broke before it brought this much counts as failed; so many of them in a row end the download.
PROGRESS = 2**20
FAILURES = 5
_FIRST_WAIT = 0.2
_LONGEST_WAIT = 5.0
_TRY_AGAIN = (408, 429, 500, 502, 503, 504)


def fetch(url: str, start: int, stop: int, sink: Callable[[bytes], object]) -> None:
    """Hand the bytes from `start` up to `stop` of a file at the Hub to `sink`, in order, piece by piece.

    huggingface_hub's own `http_get` loses up to 10 MiB with every broken connection and removes what it has when it
    gives up; this keeps every byte, so that a 5 GB shard gets through a bad line, over several runs if need be.

    Args:
        url: the address at the Hub (not where it redirects to: such addresses are signed and expire).

    Raises:
        httpx2.TransportError: `FAILURES` connections in a row brought less than `PROGRESS` bytes.
        huggingface_hub.errors.HfHubHTTPError: the Hub refused, or kept failing.
    """
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    position, failures = start, 0
    while position < stop:
        before = position
        try:
            for piece in _stream(url, position, stop):
                sink(piece)
                position += len(piece)
            if position < stop:
                raise httpx2.RemoteProtocolError(f"the answer ended after {position} of {stop} bytes")
        except (httpx2.TransportError, HfHubHTTPError) as error:
            if isinstance(error, HfHubHTTPError) and error.response.status_code not in _TRY_AGAIN:
                raise
            failures = 1 if position - before >= PROGRESS else failures + 1
            if failures >= FAILURES:
                raise
            time.sleep(min(_FIRST_WAIT * 2 ** (failures - 1), _LONGEST_WAIT))


def _stream(url: str, start: int, stop: int) -> Iterator[bytes]:
    import httpx2
    from huggingface_hub import constants, get_session

    # Documented names, but exported lazily in a way that mypy cannot see.
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]  # re-exported unmarked

    headers = build_hf_headers(library_name="pajamas")
    # Ranges count the bytes of the file itself, so a compressed answer would be another file.
    headers |= {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    with get_session().stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True) as response:
        if response.status_code >= 400:
            response.read()
        hf_raise_for_status(response)
        skip = start if response.status_code == 200 else 0  # a server without ranges sends all from the beginning
        if response.status_code == 206:
            got = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
            if got is None or int(got[1]) != start:
                raise httpx2.RemoteProtocolError("the server sent another range than it was asked for")
        left = stop - start
        for piece in response.iter_raw():
            if skip:
                skip, piece = max(0, skip - len(piece)), piece[skip:]
            if piece:
                yield piece[:left]
                left -= len(piece[:left])
            if left == 0:
                return


def fetch_to(url: str, path: Path, size: int, advance: Callable[[int], object]) -> None:
    """Complete the file at `path`, keeping the bytes that are there already, until it holds `size` bytes.

    `advance` is told the number of bytes of every piece that arrived.
    """
    with path.open("ab") as file:
        have = file.tell()
        if have > size:
            file.truncate(0)
            have = 0

        def sink(piece: bytes) -> None:
            file.write(piece)
            advance(len(piece))

        fetch(url, have, size, sink)
        file.flush()
        os.fsync(file.fileno())
