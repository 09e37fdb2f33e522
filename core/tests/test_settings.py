"""The user's configuration file."""

import pytest

from pajamas import settings
from pajamas.errors import UsageError


@pytest.fixture
def config(tmp_path, monkeypatch):
    path = tmp_path / "config.toml"
    monkeypatch.setenv("PAJAMAS_CONFIG", str(path))
    return path


def test_without_a_file_everything_is_at_its_default(tmp_path, monkeypatch):
    monkeypatch.delenv("PAJAMAS_CONFIG", raising=False)
    monkeypatch.setattr("platformdirs.user_config_path", lambda name: tmp_path / name)

    found = settings.load()

    assert found == settings.Settings(path=tmp_path / "pajamas" / "config.toml")
    assert (found.aliases, found.model) == ({}, None)


def test_file(config):
    config.write_text('[aliases]\nwork = "Qwen/Qwen3-8B@main"\n[defaults]\nmodel = "work"\n')

    found = settings.load()

    assert found == settings.Settings(path=config, aliases={"work": "Qwen/Qwen3-8B@main"}, model="work")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[alias]\n", "alias"),
        ("[defaults]\nmodle = 'x'\n", "defaults.modle"),
        ("[aliases]\nx = 1\n", "aliases.x"),
        ("[aliases]\nx = ''\n", "aliases.x"),
        ("aliases = 1\n", "aliases"),
        ("[defaults]\nmodel = 1\n", "defaults.model"),
        ("[aliases\n", "line 1"),
    ],
)
def test_mistakes_name_the_file_and_the_key(config, text, words):
    config.write_text(text)

    with pytest.raises(UsageError) as caught:
        settings.load()

    assert str(config) in caught.value.what
    assert words in str(caught.value)


def test_file_that_cannot_be_read(config):
    with pytest.raises(UsageError, match="PAJAMAS_CONFIG"):
        settings.load()
    config.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="cannot be read"):
        settings.load()
    config.unlink()
    config.mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        settings.load()
