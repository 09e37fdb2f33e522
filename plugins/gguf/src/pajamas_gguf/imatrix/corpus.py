"""The text that an importance matrix is computed on, kept apart from the text that judges the result."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from attrs import frozen

from pajamas.errors import ModelFileError, UsageError
from pajamas.modelfiles import ModelFiles
from pajamas.text_overlap import long_lines, mostly_same

CALIBRATION, EVALUATION = "calibration.jsonl", "eval.jsonl"


@frozen(kw_only=True)
class Corpus:
    text: str
    name: str
    """The file's name, or what made the text."""
    samples: int | None
    """Conversations in it; None for a plain text, whose samples are the chunks that are computed."""
    max_chunks: int | None = None

    @property
    def digest(self) -> str:
        """sha256 of the text's UTF-8 bytes."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def read_corpus(data: bytes, name: str, samples: int | None) -> Corpus:
    """The first `samples` conversations of a .jsonl file, or chunks of a plain text; None takes all.

    Conversations are read as core reads eval.jsonl: contents joined by newlines, conversations by blank lines.

    Raises:
        ModelFileError: it is no text, or not what its name says.
    """
    try:
        text = data.decode("utf-8")
        if not name.endswith(".jsonl"):
            return Corpus(text=text, name=name, samples=None, max_chunks=samples)
        lines = [line for line in text.splitlines() if line.strip()][:samples]
        conversations = [_contents(json.loads(line)) for line in lines]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFileError(
            f"{name} cannot be calibrated with.", f"It does not read: {error}.",
            'Give plain text in UTF-8, or .jsonl with one {"messages": [{"content": ...}]} a line.',
        ) from error  # fmt: skip
    return Corpus(text="\n\n".join(conversations), name=name, samples=len(conversations))


def _contents(conversation: Any) -> str:
    contents = [message["content"] for message in conversation["messages"]]
    if not contents or not all(isinstance(content, str) for content in contents):
        raise ValueError("a message has no text")
    return "\n".join(contents)


def refuse_evaluation(corpus: Corpus, files: ModelFiles) -> None:
    """Refuse the text by which the model is to be judged, whole, in part, or mixed into another.

    Raises:
        UsageError: more than half of one's long lines stand in the other.
    """
    if EVALUATION not in files.sizes():
        return
    judged, given = long_lines(read_corpus(files.read(EVALUATION), EVALUATION, None).text), long_lines(corpus.text)
    shared = len(judged & given)
    if mostly_same(shared, len(judged), len(given)):
        raise UsageError(
            f"{corpus.name} cannot be calibrated with: it is the evaluation text, or holds it.",
            f"{shared} of its {len(given)} lines stand in the model's {EVALUATION}. A model that is calibrated with "
            "the text that judges it looks better than it is.",
            "Give another text.",
        )


def read_file(path: Path) -> bytes:
    """Raises UsageError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read.", error.strerror or str(error), "Check the path.") from error
