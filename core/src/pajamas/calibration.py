"""The text that a quantization is calibrated with, kept apart from the text that judges the result."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from attrs import frozen

from pajamas.errors import ModelFileError, UsageError
from pajamas.model_texts import EVALUATION
from pajamas.text_overlap import LinePrint, long_lines, mostly_same
from pajamas.types import QuantizeJob

CALIBRATION = "calibration.jsonl"
SAMPLES = 128
_SAMPLE = 2048  # characters of plain text: about 512 tokens


@frozen(kw_only=True)
class Corpus:
    text: str
    name: str
    samples: int

    @property
    def record(self) -> dict[str, Any]:
        return {
            "corpus": self.name,
            "corpus_sha256": hashlib.sha256(self.text.encode()).hexdigest(),
            "corpus_lines": LinePrint.of(self.text).record(),
            "samples": self.samples,
        }


def find_corpus(job: QuantizeJob) -> Corpus | None:
    """The text that the job names, else the model's own; None where there is none and none was asked for.

    Raises:
        UsageError: there is no text though samples were asked for, it cannot be read, or it is the evaluation text.
        ModelFileError: it is not what its name says.
    """
    samples = SAMPLES if job.calibration_samples is None else job.calibration_samples
    if job.calibration_text is not None:
        try:
            data = job.calibration_text.read_bytes()
        except OSError as error:
            raise UsageError(
                f"{job.calibration_text} cannot be read.", error.strerror or str(error), "Check the path."
            ) from error
        name = job.calibration_text.name
    elif CALIBRATION in job.files.sizes():
        data, name = job.files.read(CALIBRATION), CALIBRATION
    elif job.calibration_samples is not None:
        raise UsageError(
            "There is no text to calibrate with.",
            f"The model brings no {CALIBRATION} along.",
            "Give one: --calibration-text FILE.",
        )
    else:
        return None
    found = _read(data, name)
    if not found:
        raise UsageError(f"{name} holds no text to calibrate with.", "", "Give another: --calibration-text FILE.")
    if EVALUATION in job.files.sizes():
        # All of it: a few samples have few lines, and one that is said everywhere would be most of them.
        _refuse_evaluation(name, "\n".join(found), "\n".join(_read(job.files.read(EVALUATION), EVALUATION)))
    found = found[:samples]
    text = "\n\n".join(found) if name.endswith(".jsonl") else "".join(found)
    return Corpus(text=text, name=name, samples=len(found))


def _read(data: bytes, name: str) -> list[str]:
    """The samples of a text: conversations of a .jsonl file, as core reads them, or pieces of a plain text."""
    try:
        text = data.decode("utf-8")
        if not name.endswith(".jsonl"):
            return [text[begin : begin + _SAMPLE] for begin in range(0, len(text), _SAMPLE)]
        return [_contents(json.loads(line)) for line in text.splitlines() if line.strip()]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFileError(
            f"{name} cannot be calibrated with.", f"It does not read: {error}.",
            'Give plain text in UTF-8, or .jsonl with one {"messages": [{"content": ...}]} a line.',
        ) from error  # fmt: skip


def _contents(conversation: Any) -> str:
    contents = [message["content"] for message in conversation["messages"]]
    if not contents or not all(isinstance(content, str) for content in contents):
        raise ValueError("a message has no text")
    return "\n".join(contents)


def _refuse_evaluation(name: str, text: str, evaluation: str) -> None:
    judged, given = long_lines(evaluation), long_lines(text)
    shared = len(judged & given)
    if mostly_same(shared, len(judged), len(given)):
        raise UsageError(
            f"{name} cannot be calibrated with: it is the evaluation text, or holds it.",
            f"{shared} of its {len(given)} lines stand in the model's {EVALUATION}. A model that is calibrated with "
            "the text that judges it looks better than it is.",
            "Give another text.",
        )
