from pathlib import Path

import pytest

from pajamas.architecture import detect_architecture
from pajamas.errors import UnsupportedModel
from pajamas.modelfiles import LocalFiles
from pajamas.operations.info import info, model_info
from pajamas.plugins import PluginHost
from pajamas.source import Source
from pajamas.types import Artifact, BackendInfo

CONFIG = {
    "model_type": "qwen3",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 36,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 100,
    "max_position_embeddings": 40960,
    "tie_word_embeddings": True,
}


@pytest.fixture
def folder(tmp_path, write_model):
    return write_model(tmp_path / "small", CONFIG, {"model.embed_tokens.weight": ("BF16", (100, 64))})


def backend(format, *schemes, **fields):
    return BackendInfo(
        name=format,
        engine="none",
        engine_version=None,
        formats=(format,),
        schemes=schemes,
        features=frozenset(),
        **fields,
    )


BACKENDS = {"gguf": backend("gguf", "Q4_K_M", "Q3_K_M", "Q6_K"), "mlx": backend("mlx", "4bit", "8bit")}


def _info(folder, dry_run, backends=BACKENDS):
    files = LocalFiles(folder)
    source = Source(text=str(folder), kind="folder", path=folder)
    architecture = detect_architecture(files)
    return model_info(source, files, architecture, cached=folder, backends=backends, dry_run=dry_run)


def test_every_profile_is_asked_of_every_format(folder):
    def dry_run(target):
        return Artifact(path=Path("x"), format=target.format, scheme=target.scheme, size=len(target.scheme))

    found = _info(folder, dry_run)

    assert [(item.profile, item.format, item.scheme, item.artifact.size) for item in found.profiles] == [
        ("balanced", "gguf", "Q4_K_M", 6),
        ("balanced", "mlx", "4bit", 4),
        ("ultra", "gguf", "Q3_K_M", 6),
        ("ultra", "mlx", "4bit", 4),
        ("hq", "gguf", "Q6_K", 4),
        ("hq", "mlx", "8bit", 4),
    ]


def test_refusal_is_the_reason(folder):
    def dry_run(target):
        raise UnsupportedModel("No converter for this.", "It is new.", "Wait.")

    (found, *_) = _info(folder, dry_run).profiles

    assert found.artifact is None
    assert found.reason == "No converter for this; It is new"


def test_bug_in_a_backend_is_not_hidden(folder):
    def dry_run(target):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _info(folder, dry_run)


def test_card_is_cited(folder):
    found = _info(folder, None, backends={})

    assert found.architecture.native_context_length == 32768
    assert found.context_citation == "https://huggingface.co/Qwen/Qwen3-8B"


def test_format_without_a_scheme_is_left_out(folder):
    assert _info(folder, None, backends={"safetensors": backend("safetensors", "4bit")}).profiles == ()


def test_what_a_backend_says_of_profiles_counts(folder):
    own = backend("paper", "thin", profile_schemes={"paper": {"ultra": "thin"}})

    (found,) = _info(folder, lambda target: Artifact(path=folder, format="paper", size=1), {"paper": own}).profiles

    assert (found.profile, found.format, found.scheme, found.artifact.size) == ("ultra", "paper", "thin", 1)


def test_operation_on_a_folder(folder):
    found = info(str(folder), host=PluginHost(disabled=frozenset({"gguf", "mlx", "vllm", "echo"})))

    assert found.size_on_disk == (folder / "model.safetensors").stat().st_size
    assert found.cached == folder
    assert found.source.name == "small"
    assert found.profiles == ()


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("mmproj-x.gguf", b"GGUF", "belongs to a model"),
        ("model-imatrix.gguf", b"GGUF", "belongs to a model"),
        ("config.json", b"{}", "names no model_type"),
        ("notes.txt", b"", "neither a config.json nor a GGUF header"),
    ],
)
def test_what_is_no_model_says_why(tmp_path, name, content, why):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(UnsupportedModel) as caught:
        info(tmp_path)

    assert why in caught.value.why
