"""What a person may write where a model is asked for, parsed: `parse_source`."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from attrs import frozen

from pajamas.errors import ModelNotFound, UsageError


@frozen(kw_only=True)
class Source:
    """A model reference. `kind` says which of the other fields hold."""

    text: str
    """As the person wrote it, alias already replaced."""
    kind: Literal["hub", "folder", "file"]
    repo_id: str | None = None
    revision: str | None = None
    """The branch, tag or commit that was asked for; None is the default branch."""
    commit: str | None = None
    """The commit that the revision stood for when it was resolved (40 hexadecimal digits)."""
    filename: str | None = None
    """One file of the repository, relative to its root."""
    quant: str | None = None
    """The quantization asked of a repository of GGUF files, or of what was converted from the model: the `Q4_K_M` of
    `org/name:Q4_K_M` or `./models/name:Q4_K_M`."""
    path: Path | None = None
    format: str | None = None
    """The format of a file, as backends name it."""

    @property
    def name(self) -> str:
        """The model's own name: the repository's or folder's last part, or the file's stem."""
        if self.kind == "hub":
            return (self.repo_id or "").rpartition("/")[2]
        assert self.path is not None
        return self.path.stem if self.kind == "file" else self.path.resolve().name


FORMS = (
    "A model is Org/Name, Org/Name@revision, Org/Name:Q4_K_M, hf://Org/Name/file.gguf, "
    "a folder, a .gguf file (or a file of another format that a backend takes) or an alias; "
    "after an alias or folder :Q4_K_M picks one of its artifacts."
)

# Org/Name[@revision][:quant]; a revision may hold slashes (refs/pr/1), never a colon.
_ID = re.compile(r"(?P<repo>[^@:]+)(@(?P<revision>[^:]*))?(:(?P<quant>[^:/]*))?")
# hf://[models/]Org/Name[@revision][/path][:quant]; here a slash ends the revision, but for the Hub's own special refs.
_URI = re.compile(
    r"hf://(models/)?(?P<repo>[^/@:]+/[^/@:]+)(@(?P<revision>refs/(pr|convert)/[^/:]+|[^/:]*))?"
    r"(/(?P<path>[^:]*))?(:(?P<quant>[^:/]*))?"
)
_PART = re.compile(r"[A-Za-z0-9_]([\w.-]*[A-Za-z0-9_])?", re.ASCII)
_REVISION = re.compile(r"\w[\w.+/-]*", re.ASCII)


def no_format(path: Path) -> None:
    """What no backend takes for an artifact has no format."""


def parse_source(
    text: str | Path,
    aliases: Mapping[str, str] | None = None,
    file_format: Callable[[Path], str | None] = no_format,
) -> Source:
    """Read a model reference as a person writes it. Only the local disk is looked at, and only for whether it is there.

    An alias comes first, then a path (one that begins with `.`, `/` or `~`, or that exists), then a Hub id. A `Path`
    is always a path.

    Args:
        text: one of the forms in `FORMS`.
        aliases: short names and what they stand for; see `pajamas.aliases.merge`.
        file_format: asked for the format of a file that is no GGUF.

    Raises:
        UsageError: the text has no form that makes sense, or aliases stand for each other.
        ModelNotFound: a path that is not there, or a name that is no alias.
    """
    if isinstance(text, Path):
        return _parse_path(str(text), file_format)
    aliases = aliases or {}
    text = follow_aliases(text, aliases)
    if not text:
        raise UsageError("No model was named.", "The name is empty.", FORMS)
    if text.startswith("hf://"):
        return _parse_uri(text)
    if text.startswith((".", "/", "~")) or os.path.exists(text) or os.path.isdir(text.rpartition(":")[0]):
        return _parse_path(text, file_format)
    if "://" in text:
        raise UsageError(f"{text!r} is not a model reference.", "Only hf:// addresses are understood.", FORMS)
    if "/" not in re.split("[@:]", text)[0]:
        raise _unknown_name(text, aliases)
    match = _ID.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is not a model reference.", "It has a part too many.", FORMS)
    if match["repo"].count("/") > 1 or text.endswith(".gguf") or "\\" in text:
        raise _no_path(text)
    return _hub(text, match["repo"], match["revision"], match["quant"])


def follow_aliases(text: str, aliases: Mapping[str, str]) -> str:
    """What `text` stands for in the end; an alias may stand for another, and :SCHEME after one goes along.

    Raises:
        UsageError: aliases stand for each other.
    """
    text = text.strip()
    seen: list[str] = []
    while True:
        head, colon, scheme = text.rpartition(":")
        if text in aliases:
            name, text = text, aliases[text].strip()
        elif head in aliases:
            name, text = head, aliases[head].strip() + colon + scheme
        else:
            return text
        if name in seen:
            circle = " -> ".join([*seen[seen.index(name) :], name])
            raise UsageError(
                f"The alias {name} never comes to a model.", f"It goes in a circle: {circle}", "Let one name a model."
            )
        seen.append(name)


def _parse_uri(text: str) -> Source:
    match = _URI.fullmatch(text)
    if match is None or text.startswith(("hf://datasets/", "hf://spaces/", "hf://kernels/", "hf://buckets/")):
        raise UsageError(
            f"{text!r} does not name a model.",
            "After hf:// stands Org/Name, then @revision, then /file.gguf or :quantization.",
            "For example hf://Qwen/Qwen3-8B@main or hf://unsloth/Qwen3-1.7B-GGUF:Q4_K_M",
        )
    revision, path = match["revision"], match["path"] or None
    if path is not None and match["quant"] is not None:
        raise UsageError(f"{text!r} names a file and a quantization.", "One of them decides.", "Leave one out.")
    if path is not None:
        path = unquote(path)
        if not path.endswith(".gguf") or not is_safe_name(path):
            raise UsageError(
                f"{path!r} is not a file that can be asked for by name.",
                "Only .gguf files inside the repository can.",
                f"Name the repository alone: hf://{match['repo']}",
            )
    return _hub(text, match["repo"], revision if revision is None else unquote(revision), match["quant"], path)


def _hub(text: str, repo: str, revision: str | None, quant: str | None, filename: str | None = None) -> Source:
    parts = repo.split("/")
    sound = all(_PART.fullmatch(part) for part in parts) and ".." not in repo and "--" not in repo
    if not sound or len(repo) > 96 or repo.endswith(".git"):
        raise UsageError(
            f"{repo!r} cannot be a Hub id.",
            "A Hub id is Org/Name of letters, digits, '-', '_' and '.', at most 96 characters.",
            FORMS,
        )
    if revision is not None and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise UsageError(
            f"{revision!r} cannot be a revision.", "A revision is a branch, a tag or a commit.", f"Try {repo}@main"
        )
    if quant == "":
        raise UsageError(f"{text!r} ends in a colon.", "The quantization is missing.", f"Try {repo}:Q4_K_M")
    return Source(text=text, kind="hub", repo_id=repo, revision=revision, filename=filename, quant=quant)


def _parse_path(text: str, file_format: Callable[[Path], str | None]) -> Source:
    path = Path(os.path.expanduser(text))
    # os.path answers False where pathlib raises: for names that are too long, or no names at all.
    if os.path.isdir(path):
        return Source(text=text, kind="folder", path=path)
    head, colon, scheme = text.rpartition(":")
    if colon and not os.path.lexists(path) and os.path.isdir(os.path.expanduser(head)):
        if not scheme:
            raise UsageError(f"{text!r} ends in a colon.", "The scheme is missing.", f"Try {head}:Q4_K_M")
        return Source(text=head, kind="folder", path=Path(os.path.expanduser(head)), quant=scheme)
    if os.path.isfile(path):
        format = "gguf" if path.suffix.lower() == ".gguf" else file_format(path)
        if format is not None:
            return Source(text=text, kind="file", path=path, format=format)
        raise UsageError(
            f"{text} is not a model by itself.",
            "Of single files only .gguf files are models, and those that an installed backend knows by their names.",
            f"Name the folder that holds config.json and the weights: {path.parent}",
        )
    if os.path.lexists(path):
        why = "It is neither a file nor a folder, or a link to something that is gone."
        raise ModelNotFound(f"{text} is not a model.", why, "Name a folder or a .gguf file.")
    raise _no_path(text)


def _no_path(text: str) -> ModelNotFound:
    above = Path(os.path.expanduser(text)).absolute().parent
    while not os.path.exists(above):
        above = above.parent
    fix = "Check the spelling."
    if text.endswith(".gguf") and text.count("/") >= 2 and not text.startswith((".", "/", "~")):
        fix = f"For a file of a Hub repository write hf://{text}"
    return ModelNotFound(f"There is no file or folder {text}", f"The path ends at {above}", fix)


def _unknown_name(text: str, aliases: Mapping[str, str]) -> ModelNotFound:
    close = difflib.get_close_matches(text.lower(), aliases, n=3)
    fix = f"Did you mean {' or '.join(close)}?" if close else FORMS
    return ModelNotFound(f"No model is called {text!r}.", "It is no alias, and no such file or folder is here.", fix)


def is_safe_name(name: str) -> bool:
    """Whether a repository's file name stays inside the folder that it is joined to, on any system."""
    parts = name.split("/")
    return all(part not in ("", ".", "..") for part in parts) and not re.search(r"[\\:\x00-\x1f\x7f]", name)
