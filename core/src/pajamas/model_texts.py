"""Texts that a model brings along: files of conversations beside its config.json.

`eval.jsonl` is for judging, and nothing that made the model has seen it. Each line is a JSON object with `messages`, a
list of objects with `role` and `content`, as OpenAI's API has them; other keys are for other readers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import frozen

from pajamas.errors import ModelFileError

EVALUATION = "eval.jsonl"


@frozen(kw_only=True)
class ModelText:
    path: Path
    text: str
    """Contents joined by newlines, conversations by blank lines: plain text, without any chat template."""


def evaluation_text(folder: Path) -> ModelText | None:
    """The text by which a model in Hugging Face layout wants to be judged; None where its folder has none.

    Raises:
        ModelFileError: the file is there, and is not what it should be.
    """
    path = folder / EVALUATION
    if not path.is_file() or not (folder / "config.json").is_file():
        return None
    conversations = []
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    conversations.append(_contents(json.loads(line), path, number))
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{path} cannot be read.", str(error), "Mend it, or give another text.") from error
    if not conversations:
        raise ModelFileError(f"{path} holds no conversation.", "", "Mend it, or give another text.")
    return ModelText(path=path, text="\n\n".join(conversations))


def _contents(conversation: Any, path: Path, number: int) -> str:
    messages = conversation.get("messages") if isinstance(conversation, dict) else None
    contents: list[Any] = []
    if isinstance(messages, list):
        contents = [message.get("content") if isinstance(message, dict) else None for message in messages]
    if not contents or not all(isinstance(content, str) for content in contents):
        raise ModelFileError(
            f"{path} is not a file of conversations.",
            f"Line {number} has no `messages` whose `content` is text.",
            "Mend it, or give another text.",
        )
    return "\n".join(contents)
