"""Connections that break, servers that fail and files that arrive damaged, over real HTTP."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from modelrepos import SIDE, single


def blobs(home, repo):
    return home / "hub" / ("models--" + repo.replace("/", "--")) / "blobs"


@pytest.mark.parametrize("cuts", [[70_000], [1, 100_000, 0, 50_000]])
def test_cut_connections_are_resumed_by_ranges(hub, ask, cuts):
    files = single()
    hub.add("acme/one", files)
    hub.cuts["model.safetensors"] = list(cuts)

    answer = ask(("download", "acme/one"))

    assert Path(answer["path"], "model.safetensors").read_bytes() == files["model.safetensors"]
    places = [sum(cuts[:n]) for n in range(len(cuts) + 1)]
    last = len(files["model.safetensors"]) - 1
    assert [r.range for r in hub.requests("model.safetensors")] == [f"bytes={place}-{last}" for place in places]
    assert hub.sent("model.safetensors") == len(files["model.safetensors"])


def test_connection_that_falls_silent_is_given_up_and_resumed(hub, ask):
    files = single()
    hub.add("acme/one", files)
    hub.stalls["model.safetensors"] = 70_000

    answer = ask(("download", "acme/one"), HF_HUB_DOWNLOAD_TIMEOUT="1")

    assert Path(answer["path"], "model.safetensors").read_bytes() == files["model.safetensors"]
    assert [r.range.split("-")[0] for r in hub.requests("model.safetensors")] == ["bytes=0", "bytes=70000"]


def test_cut_connections_of_small_files(hub, ask):
    hub.add("acme/one", single())
    hub.cuts["config.json"] = [5]

    answer = ask(("download", "acme/one"))

    assert Path(answer["path"], "config.json").read_bytes() == SIDE["config.json"]


def test_too_many_cuts_end_in_an_error_and_a_second_run_resumes(hub, ask, home):
    files = single()
    hub.add("acme/one", files)
    hub.cuts["model.safetensors"] = [60_000, *[0] * 20]

    first = ask(("download", "acme/one"))
    hub.cuts.clear()
    kept = len(hub.log)
    second = ask(("download", "acme/one"), fresh=True)

    assert first["error"] == "DownloadError"
    assert "again" in first["fix"]
    assert len(hub.requests("model.safetensors")) < 10
    resumed = [
        r
        for r in hub.log[kept:]
        if r.method == "GET" and r.path.endswith("resolve/" + second["commit"] + "/model.safetensors")
    ]
    assert [r.range.split("-")[0] for r in resumed] == ["bytes=60000"]
    assert Path(second["path"], "model.safetensors").read_bytes() == files["model.safetensors"]
    (stage,) = second["progress"]
    assert stage["done"] == stage["total"]
    assert list(blobs(home, "acme/one").glob("*.incomplete")) == []


def test_server_that_ignores_ranges(hub, ask):
    files = single()
    hub.add("acme/one", files)
    hub.ranges = False
    hub.cuts["model.safetensors"] = [100_000]

    answer = ask(("download", "acme/one"))

    assert Path(answer["path"], "model.safetensors").read_bytes() == files["model.safetensors"]


def test_damaged_weights_are_found_and_removed(hub, ask, home):
    files = single()
    hub.add("acme/one", files)
    hub.damaged.add("model.safetensors")

    first = ask(("download", "acme/one"))
    digest = hashlib.sha256(files["model.safetensors"]).hexdigest()
    left = [path.name for path in blobs(home, "acme/one").iterdir() if digest in path.name]
    hub.damaged.clear()
    second = ask(("download", "acme/one"))

    assert first["error"] == "ChecksumMismatch"
    assert "model.safetensors" in first["what"]
    assert digest in first["why"]
    assert left == []
    assert Path(second["path"], "model.safetensors").read_bytes() == files["model.safetensors"]


def test_damaged_small_file_is_found_and_removed(hub, ask):
    hub.add("acme/one", single())
    hub.damaged.add("config.json")

    first = ask(("download", "acme/one"))
    hub.damaged.clear()
    second = ask(("download", "acme/one"))

    assert (first["error"], "config.json" in first["what"]) == ("ChecksumMismatch", True)
    assert Path(second["path"], "config.json").read_bytes() == SIDE["config.json"]


def test_truncated_file_in_the_cache_is_fetched_again(hub, ask):
    files = single()
    hub.add("acme/one", files)
    path = Path(ask(("download", "acme/one"))["path"], "model.safetensors")
    path.resolve().write_bytes(files["model.safetensors"][:1000])

    ask(("download", "acme/one"))

    assert path.read_bytes() == files["model.safetensors"]


def test_server_errors_are_tried_again(hub, ask):
    hub.add("acme/one", single())
    hub.failures = [503, 500]

    assert "path" in ask(("download", "acme/one"))
