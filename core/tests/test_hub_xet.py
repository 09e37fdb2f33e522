"""Downloads from the fake Hub's Xet storage."""

from __future__ import annotations

from pathlib import Path

from modelrepos import single


def test_xet_storage(hub, ask, tmp_path):
    files = single(3_000_000)
    hub.add("acme/one", files)
    hub.store_in_xet(tmp_path, files)

    answer = ask(("download", "acme/one"), HF_HUB_DISABLE_XET="0")

    assert Path(answer["path"], "model.safetensors").read_bytes() == files["model.safetensors"]
    assert hub.sent("model.safetensors") == 0
    (stage,) = answer["progress"]
    assert stage["done"] == stage["total"]


def test_xet_storage_with_other_content(hub, ask, tmp_path):
    files = single()
    hub.add("acme/one", files)
    hub.store_in_xet(tmp_path, {"model.safetensors": files["model.safetensors"][::-1]})

    first = ask(("download", "acme/one"), HF_HUB_DISABLE_XET="0")
    second = ask(("download", "acme/one"))

    assert first["error"] == "ChecksumMismatch"
    assert Path(second["path"], "model.safetensors").read_bytes() == files["model.safetensors"]


def test_xet_storage_that_fails_is_replaced_by_http(hub, ask):
    files = single()
    hub.add("acme/one", files)
    hub.xet = {"model.safetensors": "ab" * 32}

    answer = ask(("download", "acme/one"), HF_HUB_DISABLE_XET="0")

    assert Path(answer["path"], "model.safetensors").read_bytes() == files["model.safetensors"]
    assert hub.sent("model.safetensors") == len(files["model.safetensors"])
