"""What a person is told when the Hub says no, is not there, or is something else."""

import pytest

from modelrepos import EXTRA, SIDE, ggufs, single


def test_no_such_repository(hub, ask):
    answer = ask(("download", "acme/none"))

    assert answer["error"] == "ModelNotFound"
    assert "acme/none" in answer["what"]
    assert "no folder acme/none here" in answer["why"]
    assert "log in" in answer["fix"]


def test_no_such_repository_for_an_account(hub, ask):
    answer = ask(("download", "acme/none"), HF_TOKEN="hf_granted")

    assert answer["error"] == "ModelNotFound"
    assert "that this account may see" in answer["why"]
    assert "log in" not in answer["fix"]


def test_no_such_revision(hub, ask):
    hub.add("acme/one", single())

    answer = ask(("download", "acme/one@v9"))

    assert answer["error"] == "ModelNotFound"
    assert "v9" in answer["what"]


def test_no_such_file(hub, ask):
    hub.add("acme/M-GGUF", ggufs("M-Q4_K_M.gguf"))

    answer = ask(("download", "hf://acme/M-GGUF/M-Q8_0.gguf"))

    assert answer["error"] == "ModelNotFound"
    assert "M-Q8_0.gguf" in answer["what"]
    assert "Q4_K_M" in answer["why"]


def test_no_such_quantization(hub, ask):
    hub.add("acme/M-GGUF", ggufs("M-Q4_K_M.gguf", "M-Q8_0.gguf"))

    answer = ask(("download", "acme/M-GGUF:Q5_K_M"))

    assert answer["error"] == "ModelNotFound"
    assert "Q4_K_M, Q8_0" in answer["why"]
    assert "acme/M-GGUF:Q4_K_M" in answer["fix"]


def test_several_ggufs_and_none_chosen(hub, ask):
    hub.add("acme/M-GGUF", ggufs("M-Q4_K_M.gguf", "M-Q8_0.gguf") | {"config.json": b"{}"})

    for command in ("download", "look"):
        answer = ask((command, "acme/M-GGUF"))

        assert answer["error"] == "UsageError"
        assert "Q4_K_M, Q8_0" in answer["why"]


def test_only_pickled_weights(hub, ask):
    hub.add("acme/old", SIDE | {"pytorch_model.bin": EXTRA["pytorch_model.bin"]})

    answer = ask(("download", "acme/old"))

    assert answer["error"] == "UnsupportedModel"
    assert "pytorch_model.bin" in answer["why"]
    assert hub.sent("pytorch_model.bin") == 0


def test_repository_without_a_model(hub, ask):
    hub.add("acme/lora", {"adapter_model.safetensors": b"x", "README.md": b""})

    answer = ask(("download", "acme/lora"))

    assert answer["error"] == "UnsupportedModel"
    assert "config.json" in answer["why"]


def test_no_network(hub, ask):
    answer = ask(("download", "acme/one"), HF_ENDPOINT="http://127.0.0.1:9")

    assert answer["error"] == "DownloadError"
    assert "http://127.0.0.1:9" in answer["what"]
    assert "HF_HUB_OFFLINE" in answer["fix"]


def test_silent_server_does_not_hang(hub, ask):
    hub.silent = True

    answer = ask(("download", "acme/one"), HF_HUB_DOWNLOAD_TIMEOUT="1")

    assert answer["error"] == "DownloadError"


def test_offline_and_not_cached(hub, ask):
    hub.add("acme/one", single())

    answer = ask(("download", "acme/one"), HF_HUB_OFFLINE="1")

    assert answer["error"] == "NotCached"
    assert "HF_HUB_OFFLINE" in answer["fix"]
    assert hub.log == []


@pytest.mark.parametrize(("status", "words"), [(429, "slow down"), (403, "forbids"), (410, "status 410")])
def test_refusals(hub, ask, status, words):
    hub.add("acme/one", single())
    hub.failures = [status]

    answer = ask(("download", "acme/one"))

    assert answer["error"] in ("DownloadError", "GatedModel")
    assert words in answer["what"]


def test_lasting_server_errors(hub, ask):
    hub.add("acme/one", single())
    hub.failures = [500] * 50

    answer = ask(("download", "acme/one"))

    assert (answer["error"], "500" in answer["what"]) == ("DownloadError", True)
    assert len(hub.failures) > 40


def test_endpoint_that_is_no_hub(hub, ask):
    hub.add("acme/one", single())
    hub.failures = [200]  # an empty JSON object, without a commit

    answer = ask(("download", "acme/one"))

    assert answer["error"] == "DownloadError"
    assert "does not answer like the Hub" in answer["what"]
    assert "HF_ENDPOINT" in answer["fix"]


def test_cache_that_cannot_be_written(hub, ask, tmp_path):
    hub.add("acme/one", single())
    (tmp_path / "file").write_text("in the way")

    answer = ask(("download", "acme/one"), HF_HUB_CACHE=str(tmp_path / "file" / "hub"))

    assert answer["error"] == "DownloadError"
    assert "cannot be used" in answer["what"]


@pytest.mark.parametrize("variables", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:1"}])
def test_a_path_that_ends_early_is_no_model_to_look_for(hub, ask, tmp_path, monkeypatch, variables):
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)

    answer, there = ask(("download", "models/nothing"), ("download", "hf://models/nothing"), **variables)

    assert answer["error"] == "NotCached"
    assert answer["what"] == "There is no folder or alias models/nothing"
    assert "hf://models/nothing" in answer["fix"]
    assert there["what"] != answer["what"]
