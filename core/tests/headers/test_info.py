from pathlib import Path

import pytest

from pajamas import manifest
from pajamas.architecture import detect_architecture
from pajamas.errors import ModelNotFound, UnsupportedModel, UsageError
from pajamas.manifest import Manifest, Receipt, SourceRecord
from pajamas.modelfiles import LocalFiles
from pajamas.operations.info import info, model_info
from pajamas.plugins import PluginHost
from pajamas.source import Source
from pajamas.types import Architecture, Artifact, BackendInfo

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
    assert found.reason == "No converter for this. It is new."


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


def _converted(folder, *paths):
    """A folder as `convert` leaves it, of files that are no models: what it holds is told from the receipts."""
    artifacts = []
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"weights")
        scheme = path.rpartition("-")[2].partition(".")[0]
        artifacts.append(
            Receipt(
                format=path.partition("/")[0], scheme=scheme, profile=None, path=path, size=7,
                files={}, tensor_digest=None, tokenizer_digest=None, template_digest=None, parameters=56,
                bits_per_weight=1.0, architecture=Architecture(model_type="qwen3", family="Qwen3"), tensor_types={},
                tensors=(), backend="x", engine="none", engine_version=None, pajamas_version="0", plugin="x 0",
                command="", created="", source=SourceRecord(text="acme/small"),
            )
        )  # fmt: skip
    manifest.write(folder, Manifest(name="small", artifacts=tuple(artifacts)))
    return folder


def test_a_folder_of_artifacts_is_described_by_them(tmp_path):
    folder = _converted(tmp_path, "gguf/small-q4_k_m.gguf", "mlx/model-4bit.bin")

    found = info(folder)

    assert [(made.format, made.scheme, made.path) for made in found.artifacts] == [
        ("gguf", "q4_k_m", folder / "gguf/small-q4_k_m.gguf"),
        ("mlx", "4bit", folder / "mlx/model-4bit.bin"),
    ]
    assert (found.architecture.family, found.size_on_disk, found.profiles) == ("Qwen3", 14, ())


def test_a_scheme_that_the_folder_lacks_or_has_twice(tmp_path):
    folder = _converted(tmp_path, "gguf/a-q4_k_m.gguf", "gguf/b-q4_k_m.gguf")

    with pytest.raises(UsageError, match=r"a-q4_k_m.gguf, .*b-q4_k_m.gguf"):
        info(f"{folder}:q4_k_m")
    with pytest.raises(ModelNotFound, match="It has: q4_k_m"):
        info(f"{folder}:q8_0")


def test_a_model_that_nobody_named_is_named(monkeypatch, tmp_path):
    (tmp_path / "config.toml").write_text(f'[defaults]\nmodel = "{tmp_path}/none"\n')
    monkeypatch.setenv("PAJAMAS_CONFIG", str(tmp_path / "config.toml"))

    with pytest.raises(ModelNotFound) as unnamed:
        info()
    with pytest.raises(ModelNotFound) as named:
        info(f"{tmp_path}/none")

    assert f"{tmp_path}/none is the default" in unnamed.value.why
    assert unnamed.value.what == named.value.what
    assert "default" not in named.value.why
