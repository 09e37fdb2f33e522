"""Looking at a model at the Hub: headers by ranges, small files through the cache, weights never."""

import json

from modelrepos import EXTRA, ggufs, safetensors, sharded, single


def test_only_the_ranges_that_were_asked_for_are_transferred(hub, ask):
    files = sharded()
    revision = hub.add("acme/parts", files | EXTRA)
    shard = "model-00002-of-00003.safetensors"
    length = int.from_bytes(files[shard][:8], "little")

    answer = ask(("look", "acme/parts", (shard, 0, 8), (shard, 8, length)))

    assert answer["commit"] == revision.commit
    assert answer["origin"] == "acme/parts"
    assert answer["sizes"] == {name: len(data) for name, data in files.items()}
    assert [bytes.fromhex(data) for data in answer["content"]] == [files[shard][:8], files[shard][8 : 8 + length]]
    assert [r.range for r in hub.requests(shard)] == ["bytes=0-7", f"bytes=8-{7 + length}"]
    assert {name: hub.sent(name) for name in files if name.endswith(".safetensors")} == {
        name: 8 + length if name == shard else 0 for name in files if name.endswith(".safetensors")
    }
    assert list(answer["local"]) == ["model.safetensors.index.json"]


def test_a_range_is_transferred_once(hub, ask):
    hub.add("acme/parts", files := sharded())
    shard = "model-00002-of-00003.safetensors"

    answer = ask(("look", "acme/parts", (shard, 0, 100), (shard, 0, 100), (shard, 0, 50)))

    assert [bytes.fromhex(data) for data in answer["content"]] == [files[shard][:length] for length in (100, 100, 50)]
    assert [r.range for r in hub.requests(shard)] == ["bytes=0-99", "bytes=0-49"]


def test_server_without_ranges_is_not_read_to_the_end(hub, ask):
    files = single(30_000_000)
    hub.add("acme/one", files)
    hub.ranges = False

    answer = ask(("look", "acme/one", ("model.safetensors", 8, 20)))

    assert bytes.fromhex(answer["content"][0]) == files["model.safetensors"][8:28]


def test_small_files_go_through_the_cache(hub, ask):
    hub.add("acme/one", single())

    first = ask(("look", "acme/one", ("config.json",), ("tokenizer.json", 10, 5)))
    sent = hub.sent("config.json")
    second = ask(("look", "acme/one", ("config.json",)), fresh=True)

    assert bytes.fromhex(first["content"][0]) == single()["config.json"]
    assert bytes.fromhex(first["content"][1]) == single()["tokenizer.json"][10:15]
    assert sorted(first["local"]) == ["config.json", "tokenizer.json"]
    assert hub.sent("config.json") == sent == len(single()["config.json"])
    assert second["content"][0] == first["content"][0]


def test_cached_model_is_read_here(hub, ask):
    files = single()
    hub.add("acme/one", files)
    path = ask(("download", "acme/one"))["path"]
    hub.log.clear()

    answer = ask(("look", "acme/one", ("model.safetensors", 0, 100)))

    assert bytes.fromhex(answer["content"][0]) == files["model.safetensors"][:100]
    assert [r.path.split("/")[1] for r in hub.log] == ["api"]
    total = sum(map(len, files.values()))
    assert answer["state"] == {"path": path, "cached": total, "total": total}
    assert sorted(answer["local"]) == sorted(files)


def test_state_of_what_is_partly_cached(hub, ask):
    files = single()
    hub.add("acme/one", files)

    nothing, some = ask(("look", "acme/one"), ("look", "acme/one", ("config.json",)))

    assert nothing["state"] == {"path": None, "cached": 0, "total": sum(map(len, files.values()))}
    assert some["state"]["cached"] == len(files["config.json"])


def test_offline_shows_what_is_there(hub, ask):
    hub.add("acme/one", single())
    ask(("look", "acme/one", ("config.json",)))

    answer = ask(("look", "acme/one", ("config.json",)), HF_HUB_OFFLINE="1")

    assert list(answer["sizes"]) == ["config.json"]
    assert answer["state"]["path"].endswith(answer["commit"])
    assert bytes.fromhex(answer["content"][0]) == single()["config.json"]


def test_reading_past_the_end_or_what_is_not_there(hub, ask):
    hub.add("acme/one", single())

    past, no_file, before = ask(
        ("look", "acme/one", ("model.safetensors", 0, 10**9)),
        ("look", "acme/one", ("pytorch_model.bin",)),
        ("look", "acme/one", ("config.json", -1, 1)),
    )

    assert past["error"] == no_file["error"] == before["error"] == "ModelFileError"


def test_weights_are_not_read_whole(hub, ask):
    """A hostile header that claims a length must not become a download."""
    revision = hub.add("acme/one", single())
    revision.listed_sizes["model.safetensors"] = 10**12

    answer = ask(("look", "acme/one", ("model.safetensors", 8, 10**11)))

    assert answer["error"] == "ModelFileError"
    assert hub.sent("model.safetensors") == 0


def test_cut_connection_while_reading_a_header(hub, ask):
    files = single()
    hub.add("acme/one", files)
    hub.cuts["model.safetensors"] = [3]

    answer = ask(("look", "acme/one", ("model.safetensors", 0, 50)))

    assert bytes.fromhex(answer["content"][0]) == files["model.safetensors"][:50]
    assert [r.range for r in hub.requests("model.safetensors")] == ["bytes=0-49", "bytes=3-49"]


def test_gguf_repository(hub, ask):
    hub.add("acme/M-GGUF", ggufs("M-Q4_K_M.gguf", "M-Q8_0.gguf"))

    answer = ask(("look", "acme/M-GGUF:Q8_0", ("M-Q8_0.gguf", 0, 4)))

    assert answer["filename"] == "M-Q8_0.gguf"
    assert list(answer["sizes"]) == ["M-Q8_0.gguf"]
    assert bytes.fromhex(answer["content"][0]) == b"GGUF"
    assert hub.sent("M-Q8_0.gguf") == 4


def test_one_gguf_needs_no_choice(hub, ask):
    hub.add("acme/M-GGUF", ggufs("M-Q4_K_M.gguf", "mmproj-F16.gguf"))

    assert ask(("look", "acme/M-GGUF"))["filename"] == "M-Q4_K_M.gguf"


def test_config_without_weights_can_be_looked_at(hub, ask):
    hub.add("acme/old", {"config.json": b"{}", "pytorch_model.bin": b"x"})

    assert list(ask(("look", "acme/old"))["sizes"]) == ["config.json"]


def test_local_folder(hub, ask, tmp_path):
    for name, data in sharded().items():
        (tmp_path / name).write_bytes(data)
    shard = "model-00003-of-00003.safetensors"

    whole, read = ask(("download", str(tmp_path)), ("look", str(tmp_path), (shard, 0, 8)))
    (tmp_path / shard).unlink()
    broken, unread = ask(("download", str(tmp_path)), ("look", str(tmp_path)))

    assert whole["path"] == str(tmp_path)
    assert bytes.fromhex(read["content"][0]) == sharded()[shard][:8]
    assert read["state"] == {"path": str(tmp_path)} | {
        k: sum(map(len, sharded().values())) for k in ("cached", "total")
    }
    assert broken["error"] == unread["error"] == "ModelFileError"
    assert shard in broken["why"]
    assert hub.log == []


def test_local_index_cannot_point_outside(ask, tmp_path):
    (tmp_path / "outside.safetensors").write_bytes(safetensors("w"))
    (tmp_path / "model").mkdir()
    index = {"weight_map": {"w": "../outside.safetensors"}}
    (tmp_path / "model" / "model.safetensors.index.json").write_text(json.dumps(index))

    assert ask(("look", str(tmp_path / "model")))["error"] == "ModelFileError"


def test_list_of_cached_models(hub, ask, home):
    files = single()
    one = hub.add("acme/one", files)
    hub.add("acme/M-GGUF", ggufs("M-Q4_K_M.gguf", "M-Q8_0.gguf"))
    hub.add("acme/looked-at", single())

    empty = ask(("cached",))
    _, _, _, answer = ask(
        ("download", "acme/one"),
        ("download", "acme/M-GGUF:Q8_0"),
        ("look", "acme/looked-at", ("config.json",)),
        ("cached",),
    )

    assert empty["models"] == []
    found = {model["repo_id"]: model for model in answer["models"]}
    assert {name: model["kind"] for name, model in found.items()} == {
        "acme/looked-at": "partial",
        "acme/M-GGUF": "gguf",
        "acme/one": "safetensors",
    }
    assert found["acme/one"]["commit"] == one.commit
    assert found["acme/one"]["size"] == sum(map(len, files.values()))
    assert found["acme/one"]["path"] == str(home / "hub" / "models--acme--one" / "snapshots" / one.commit)
    assert found["acme/one"]["last_used"] > 1.6e9
