"""Downloads from the fake Hub, over real HTTP, into a real cache."""

import json
from pathlib import Path

import pytest

from fakehub import TOKEN
from modelrepos import EXTRA, SIDE, ggufs, safetensors, sharded, single

NEVER = sorted(EXTRA)


def blobs(home, repo):
    return home / "hub" / ("models--" + repo.replace("/", "--")) / "blobs"


def test_only_needed_files_of_a_single_file_model(hub, ask):
    files = single()
    revision = hub.add("acme/one", files | EXTRA)

    answer = ask(("download", "acme/one"))

    assert answer["commit"] == revision.commit
    assert answer["files"] == {name: len(data) for name, data in files.items()}
    assert [name for name in NEVER if any(r.path.endswith(name) for r in hub.log)] == []
    assert Path(answer["path"], "model.safetensors").read_bytes() == files["model.safetensors"]


def test_progress_is_one_stage_of_all_bytes(hub, ask):
    files = sharded()
    hub.add("acme/parts", files)

    (stage,) = ask(("download", "acme/parts"))["progress"]

    total = sum(map(len, files.values()))
    assert (stage["title"], stage["unit"], stage["total"], stage["done"]) == ("Download", "bytes", total, total)
    assert stage["steps"] > len(files)


def test_second_download_transfers_nothing(hub, ask):
    hub.add("acme/parts", sharded())
    first = ask(("download", "acme/parts"))
    hub.log.clear()

    second = ask(("download", "acme/parts"))

    assert second["path"] == first["path"]
    assert second["progress"] == []
    assert [r for r in hub.log if r.sent] == []


def test_revision_is_pinned(hub, ask):
    old = hub.add("acme/one", single())
    repository = hub.repositories["acme/one"]
    repository.revisions["v1"] = old
    repository.revisions["main"] = type(old)(single(1000))

    tag, main, commit = ask(
        ("download", "acme/one@v1"), ("download", "acme/one"), ("download", f"hf://acme/one@{old.commit}")
    )

    assert tag["commit"] == commit["commit"] == old.commit
    assert tag["path"] == commit["path"] != main["path"]
    assert main["commit"] == repository.revisions["main"].commit


def test_source_resolved_earlier_keeps_its_commit_and_leaves_the_branch_alone(hub, ask):
    old = hub.add("acme/one", single())
    new = type(old)(single(1000))
    hub.repositories["acme/one"].revisions = {"main": new, "old": old}

    main, pinned = ask(("download", "acme/one"), ("download", "acme/one", old.commit))
    offline = ask(("download", "acme/one"), HF_HUB_OFFLINE="1")

    assert pinned["commit"] == old.commit
    assert offline["commit"] == main["commit"] == new.commit


def test_disk_full_is_found_before_the_download(hub, ask):
    revision = hub.add("acme/huge", single())
    revision.listed_sizes["model.safetensors"] = 10**18

    answer = ask(("download", "acme/huge"))

    assert answer["error"] == "NotEnoughDisk"
    assert "1000000000" in answer["what"]
    assert "bytes free" in answer["why"]
    assert [r for r in hub.log if r.sent] == []


def test_index_that_names_a_missing_shard(hub, ask):
    files = sharded()
    del files["model-00002-of-00003.safetensors"]
    hub.add("acme/parts", files)

    answer = ask(("download", "acme/parts"))

    assert answer["error"] == "ModelFileError"
    assert "model-00002-of-00003.safetensors" in answer["why"]
    assert hub.sent("model-00001-of-00003.safetensors") == 0


@pytest.mark.parametrize("name", ["../../../../evil.safetensors", "/etc/evil.safetensors", "a\\..\\evil.safetensors"])
def test_hostile_names_do_not_leave_the_cache(hub, ask, home, name):
    index = b'{"weight_map": {"w": %s}}' % json.dumps(name).encode()
    hub.add("acme/evil", SIDE | {"model.safetensors.index.json": index, name: safetensors("w")})

    answer = ask(("download", "acme/evil"))

    assert answer["error"] == "ModelFileError"
    assert "outside" in answer["why"]
    assert [path for path in home.parent.rglob("*evil*") if path.suffix == ".safetensors"] == []


def test_hostile_names_outside_the_choice_do_not_matter(hub, ask, home):
    hub.add("acme/odd", single() | {"../../tokenizer.json": b"{}", "../evil.model": b""})

    answer = ask(("download", "acme/odd"))

    assert sorted(answer["files"]) == sorted(single())
    assert list(home.parent.rglob("*evil*")) == []


def test_offline_uses_the_cache_and_asks_nobody(hub, ask):
    hub.add("acme/parts", sharded())
    online = ask(("download", "acme/parts"))
    hub.log.clear()

    offline, other = ask(("download", "acme/parts"), ("download", "acme/parts@v9"), HF_HUB_OFFLINE="1")

    assert offline["path"] == online["path"]
    assert offline["commit"] == online["commit"]
    assert other["error"] == "NotCached"
    assert hub.log == []


def test_offline_with_part_of_it(hub, ask):
    hub.add("acme/parts", sharded())
    path = ask(("download", "acme/parts"))["path"]
    Path(path, "model-00003-of-00003.safetensors").unlink()

    answer = ask(("download", "acme/parts"), HF_HUB_OFFLINE="1")

    assert answer["error"] == "NotCached"
    assert "model-00003-of-00003.safetensors" in answer["why"]


def test_no_network_but_all_in_the_cache(hub, ask):
    hub.add("acme/one", single())
    online = ask(("download", "acme/one"))

    here, not_here = ask(("download", "acme/one"), ("download", "acme/two"), HF_ENDPOINT="http://127.0.0.1:9")

    assert here["path"] == online["path"]
    assert not_here["error"] == "DownloadError"
    assert "http://127.0.0.1:9" in not_here["what"]


def test_gguf_by_quantization(hub, ask):
    files = ggufs("M-Q4_K_M.gguf", "M-Q8_0.gguf", "M-BF16.gguf", "mmproj-BF16.gguf")
    hub.add("acme/M-GGUF", files)

    answer, bf16 = ask(("download", "acme/M-GGUF:q4_k_m"), ("download", "hf://acme/M-GGUF:BF16"))

    assert answer["path"].endswith("M-Q4_K_M.gguf")
    assert answer["filename"] == "M-Q4_K_M.gguf"
    assert Path(answer["path"]).read_bytes() == files["M-Q4_K_M.gguf"]
    assert bf16["filename"] == "M-BF16.gguf"
    assert hub.sent("M-Q8_0.gguf") == 0


def test_split_gguf_brings_all_parts(hub, ask):
    parts = [f"Q8_0/M-Q8_0-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    hub.add("acme/M-GGUF", ggufs("M-Q4_0.gguf", *parts))

    answer = ask(("download", "acme/M-GGUF:Q8_0"))

    assert answer["path"].endswith(parts[0])
    assert sorted(path.name for path in Path(answer["path"]).parent.iterdir()) == [part[5:] for part in parts]


def test_gated_repository(hub, ask):
    hub.add("acme/gated", single(), gated=True)

    nobody = ask(("download", "acme/gated"))
    stranger = ask(("download", "acme/gated"), HF_TOKEN="hf_not_granted")
    wrong = ask(("download", "acme/gated"), HF_TOKEN="hf_wrong")
    granted = ask(("download", "acme/gated"), HF_TOKEN=TOKEN)

    assert nobody["error"] == stranger["error"] == wrong["error"] == "GatedModel"
    assert "log in" in nobody["fix"]
    assert "ask for access" in stranger["fix"]
    assert "does not accept the token" in wrong["what"]
    assert "path" in granted
    cdn = [r for r in hub.log if r.path.startswith("/cdn/")]
    assert cdn
    assert [r for r in cdn if r.token] == []  # the token stays with the Hub


def test_content_shared_by_two_commits_is_linked(hub, ask):
    old = hub.add("acme/one", single())
    ask(("download", "acme/one"))
    hub.repositories["acme/one"].revisions["main"] = type(old)(single() | {"config.json": b'{"model_type": "x"}'})
    hub.log.clear()

    answer = ask(("download", "acme/one"))

    assert answer["commit"] != old.commit
    assert hub.sent("model.safetensors") == 0
    assert Path(answer["path"], "model.safetensors").read_bytes() == single()["model.safetensors"]


def test_two_processes_at_once(hub, ask):
    from concurrent.futures import ThreadPoolExecutor

    files = single(3_000_000)
    hub.add("acme/one", files)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: ask(("download", "acme/one"), fresh=True), range(2)))

    assert [Path(a["path"], "model.safetensors").read_bytes() == files["model.safetensors"] for a in answers] == [
        True
    ] * 2
    assert hub.sent("model.safetensors") == len(files["model.safetensors"])
