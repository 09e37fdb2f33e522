"""What a person may write where a model is asked for."""

from pathlib import Path

import pytest

from pajamas.errors import ModelNotFound, PajamasError, UsageError
from pajamas.source import Source, is_safe_name, parse_source

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "repo_id", "revision", "quant", "filename"),
    [
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B", None, None, None),
        (" Qwen/Qwen3-8B\n", "Qwen/Qwen3-8B", None, None, None),
        ("Qwen/Qwen3-8B@main", "Qwen/Qwen3-8B", "main", None, None),
        ("Qwen/Qwen3-8B@refs/pr/1", "Qwen/Qwen3-8B", "refs/pr/1", None, None),
        (f"Qwen/Qwen3-8B@{COMMIT}", "Qwen/Qwen3-8B", COMMIT, None, None),
        ("unsloth/Qwen3-1.7B-GGUF:Q4_K_M", "unsloth/Qwen3-1.7B-GGUF", None, "Q4_K_M", None),
        ("unsloth/Qwen3-1.7B-GGUF:UD-Q4_K_XL", "unsloth/Qwen3-1.7B-GGUF", None, "UD-Q4_K_XL", None),
        ("o/n@v1:q8_0", "o/n", "v1", "q8_0", None),
        ("hf://o/n", "o/n", None, None, None),
        ("hf://models/o/n", "o/n", None, None, None),
        ("hf://o/n@v1", "o/n", "v1", None, None),
        ("hf://o/n:Q4_K_M", "o/n", None, "Q4_K_M", None),
        ("hf://o/n/f.gguf", "o/n", None, None, "f.gguf"),
        ("hf://o/n@v1/Q8_0/f-00001-of-00002.gguf", "o/n", "v1", None, "Q8_0/f-00001-of-00002.gguf"),
        ("hf://o/n@refs/pr/7/f.gguf", "o/n", "refs/pr/7", None, "f.gguf"),
        ("hf://o/n@feature%2Fx/f.gguf", "o/n", "feature/x", None, "f.gguf"),
    ],
)
def test_hub_forms(text, repo_id, revision, quant, filename):
    expected = Source(text=text.strip(), kind="hub", repo_id=repo_id, revision=revision, quant=quant, filename=filename)

    assert parse_source(text) == expected


@pytest.mark.parametrize("text", ["./m", "m", "sub/m", "{absolute}/m"])
def test_folder(text, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "sub" / "m").mkdir(parents=True)

    source = parse_source(text.format(absolute=tmp_path))

    assert (source.kind, source.name, source.path.is_dir()) == ("folder", "m", True)


def test_file(tmp_path):
    (tmp_path / "Model.Q4_0.GGUF").write_bytes(b"")

    source = parse_source("Model.Q4_0.GGUF")

    assert (source.kind, source.name) == ("file", "Model.Q4_0")


def test_path_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "m").mkdir()

    assert parse_source("~/m").path == tmp_path / "m"


def test_existing_path_wins_over_hub_id(tmp_path):
    (tmp_path / "org" / "name").mkdir(parents=True)

    assert parse_source("org/name").kind == "folder"
    assert parse_source("hf://org/name").kind == "hub"


def test_alias_wins_over_folder_of_its_name(tmp_path):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "elsewhere").mkdir()
    aliases = {"tiny": str(tmp_path / "elsewhere"), "q": "Qwen/Qwen3-8B@main"}

    assert parse_source("tiny", aliases).path == tmp_path / "elsewhere"
    assert parse_source("./tiny", aliases).path.name == "tiny"
    assert parse_source("q", aliases) == Source(
        text="Qwen/Qwen3-8B@main", kind="hub", repo_id="Qwen/Qwen3-8B", revision="main"
    )


def test_alias_of_an_alias_is_followed():
    aliases = {"mine": "work", "work": "Org/Name@main"}

    assert parse_source("mine", aliases).revision == "main"
    assert parse_source("mine:q8_0", {"mine": "work", "work": "Org/Name"}).quant == "q8_0"


def test_aliases_that_stand_for_each_other():
    with pytest.raises(UsageError, match="a -> b -> a"):
        parse_source("a", {"a": "b", "b": "a"})


def test_scheme_after_a_folder_or_its_alias(tmp_path):
    for text in (f"{tmp_path}:Q8_0", "tiny:Q8_0"):
        source = parse_source(text, {"tiny": str(tmp_path)})
        assert (source.kind, source.path, source.quant) == ("folder", tmp_path, "Q8_0")


def test_path_object_is_never_an_alias(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").mkdir()

    assert parse_source(Path("tiny"), {"tiny": "Org/Name"}).kind == "folder"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("./nowhere", "./nowhere"),
        ("/nowhere/at/all", "path ends at /"),
        ("models/x/gguf/x.gguf", "path ends at"),
        ("x.gguf", "no such file"),
        ("o/n/f.gguf", "hf://o/n/f.gguf"),
        ("qwen3-8", "qwen3-8b"),
        ("gpt2", "no alias"),
        ("a\\b/c", "no file or folder"),
    ],
)
def test_not_there(text, words):
    with pytest.raises(ModelNotFound) as caught:
        parse_source(text, {"qwen3-8b": "Qwen/Qwen3-8B"})

    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "o/n:",
        "o/n@",
        "o/n@..",
        "o/n@a/../../b",
        "o/n@-x",
        "o/n:a:b",
        "-o/n",
        "o/n--m",
        "o/n..m",
        "o/n.git",
        "o/n n",
        "o/" + "n" * 100,
        "https://huggingface.co/o/n",
        "hf://",
        "hf://o",
        "hf://o/n:",
        "hf://datasets/o/n",
        "hf://o/n/f.safetensors",
        "hf://o/n/../f.gguf",
        "hf://o/n/..%2F..%2Ff.gguf",
        "hf://o/n//f.gguf",
        "hf://o/n/f.gguf:Q4_K_M",
    ],
)
def test_nonsense(text):
    with pytest.raises(UsageError) as caught:
        parse_source(text)

    assert caught.value.what
    assert caught.value.fix


def test_file_that_is_no_model(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "dangling").symlink_to("gone")

    with pytest.raises(UsageError) as caught:
        parse_source("./model.safetensors")
    assert "folder" in caught.value.fix
    with pytest.raises(ModelNotFound):
        parse_source("./dangling")


@pytest.mark.parametrize(
    "text",
    ["\0", "/\0", "o/\0", "hf://\0/n", "./" + "x" * 5000, "x" * 5000 + "/n", "@", ":", "@:", "hf://@", "日本/語"],
)
def test_hostile_text_is_an_error_of_ours(text):
    with pytest.raises(PajamasError):
        parse_source(text)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a.gguf", True),
        ("a/b c.gguf", True),
        ("a..b", True),
        ("..", False),
        ("a/../b", False),
        ("/a", False),
        ("a//b", False),
        ("C:a", False),
        ("a\\..\\b", False),
        ("a\0b", False),
        ("", False),
    ],
)
def test_safe_names(name, safe):
    assert is_safe_name(name) is safe
