"""The records that servers leave for `pajamas ps` and `pajamas stop`."""

from __future__ import annotations

import os

from pajamas_serve import running_servers
from pajamas_serve.running_servers import recorded, running

_NOBODY = 2**22
"""Linux gives no process this number."""


def test_what_is_no_record_is_removed(monkeypatch, tmp_path):
    monkeypatch.setattr(running_servers, "folder", lambda: tmp_path)
    for number, text in enumerate(("", '{"pid": 1', "[]", '{"pid": 1}')):
        (tmp_path / f"{_NOBODY + number}.json").write_text(text)
    (tmp_path / f"{os.getppid()}.json").write_text("{}")  # of another version's server
    with recorded("http://127.0.0.1:1", ("a",), "token"):
        (found,) = running()
        assert found.models == ("a",)
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([f"{found.pid}.json", f"{os.getppid()}.json"])
    assert not running()
