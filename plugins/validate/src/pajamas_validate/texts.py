"""The text that is scored: the one that was given, a dataset, or what the model brings along."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from attrs import frozen

from pajamas.errors import UsageError
from pajamas_validate.calibrated import refuse_calibrated
from pajamas_validate.datasets import read_dataset

if TYPE_CHECKING:
    from pajamas.types import ValidateJob
    from pajamas_validate.settings import Settings


USUAL = "wikitext2"
"""What published figures are measured on."""


@frozen(kw_only=True)
class Text:
    name: str
    text: str

    @property
    def digest(self) -> str:
        """sha256 of its UTF-8 bytes."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()


def choose_text(job: ValidateJob, settings: Settings) -> Text:
    """What was asked for, else what the model brings along to be judged by, else WikiText-2.

    Raises:
        UsageError: a text and a dataset, or the text that the candidate was calibrated with.
        PajamasError: what fetching a dataset raises.
    """
    text = _wanted(job, settings)
    if job.candidate_artifact is not None:
        refuse_calibrated(text.name, text.text, job.candidate_artifact.path)
    return text


def _wanted(job: ValidateJob, settings: Settings) -> Text:
    if job.text is not None:
        refuse_two(job.text, settings.dataset)
        return Text(name=job.text_name or "the given text", text=job.text)
    if settings.dataset is not None:
        return Text(name=settings.dataset, text=read_dataset(settings.dataset))
    if job.model_text is not None:
        return Text(name=job.model_text.path.name, text=job.model_text.text)
    return Text(name=USUAL, text=read_dataset(USUAL))


def refuse_two(text: object, dataset: str | None) -> None:
    """Raises UsageError for a text and a dataset."""
    if text is not None and dataset is not None:
        raise UsageError("A text and a dataset contradict each other.", "", "Leave one of them out.")
