"""A calibration text for a model that brings none along: what the original itself answers to many prompts.

What a model says is the nearest to what it will compute in use, in its own format, languages and way of thinking. Each
sample is prompt and answer as they stand in the model's chat, special tokens included, with the token that ends the
answer; the matrix is computed on exactly that.

Sampling: temperature 0.8, top-k 40, top-p 0.95, at most 256 tokens, the sample's number as its seed. Prompts repeat
with other seeds where more samples are wanted than there are prompts.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pajamas import digests
from pajamas.progress import Progress
from pajamas_gguf.imatrix.answer_child import Task
from pajamas_gguf.imatrix.corpus import Corpus
from pajamas_gguf.imatrix.process import follow
from pajamas_gguf.imatrix.prompts import read_prompts, render
from pajamas_gguf.memory import extra_buffers
from pajamas_gguf.probe import cache_folder
from pajamas_gguf.session.facts import read_facts

log = logging.getLogger(__name__)

NAME = "answers of the original"
MAX_TOKENS = 256
_TEMPERATURE, _TOP_K, _TOP_P = 0.8, 40, 0.95
_TOGETHER = 16
_VERSION = 1
"""Of how answers are made; another number, and none is taken from the cache."""


def settings() -> dict[str, Any]:
    """What beside the model decides the answers, for the key of the cache and for the receipt."""
    prompts = "\n\n".join(read_prompts())
    return {
        "prompts_sha256": hashlib.sha256(prompts.encode()).hexdigest(), "max_tokens": MAX_TOKENS,
        "temperature": _TEMPERATURE, "top_k": _TOP_K, "top_p": _TOP_P, "together": _TOGETHER, "version": _VERSION,
    }  # fmt: skip


def generate(model: Path, samples: int, threads: int, folder: Path, progress: Progress) -> Corpus:
    """The text of the first `samples` answers of the GGUF file `model`, whole or its first part.

    Prompts with their answers are kept in the user's cache folder, group by group, and not generated twice. `folder`
    takes the engine's log.

    Raises:
        TemplateError: the chat template does not take a plain question.
        UsageError: the model cannot answer.
        EngineMissing, EngineError, EngineCrashed: as the engine fails.
    """
    facts, prompts = read_facts(model), read_prompts()
    groups = [range(begin, min(begin + _TOGETHER, samples)) for begin in range(0, samples, _TOGETHER)]
    with _opened(model, folder, progress) as cache:
        known = _read(cache)
        missing = [group for group in groups if (group.start, len(group)) not in known]
        if missing:
            wanted = [number for group in missing for number in group]
            task = Task(
                model=str(model), prompts=[render(prompts, facts, number) for number in wanted], seeds=wanted,
                together=_TOGETHER, max_tokens=MAX_TOKENS, temperature=_TEMPERATURE, top_k=_TOP_K, top_p=_TOP_P,
                threads=threads, extra_buffers=extra_buffers(),
            )  # fmt: skip
            log.info("%s of %s answers to calibrate with are in the cache.", samples - len(wanted), samples)
            with closing(_generated(task, folder, progress)) as generated:
                for group, texts in zip(missing, generated, strict=True):
                    known[group.start, len(group)] = texts
                    _append(cache, group.start, texts)
    texts = [text for group in groups for text in known[group.start, len(group)]]
    # In a chat format the newline between two conversations is part of it; without one, they stand apart.
    return Corpus(text=("\n\n" if facts.chat_template is None else "\n").join(texts), name=NAME, samples=samples)


def _generated(task: Task, folder: Path, progress: Progress) -> Generator[list[str]]:
    """Prompts with their answers, one group after the other."""
    module, who = "pajamas_gguf.imatrix.answer_child", "generation of the calibration text"
    step = done = 0
    with (
        progress.stage("Generating answers to calibrate with", len(task.prompts), "answers") as stage,
        closing(follow(module, task, folder, who)) as events,
    ):
        for event in events:
            if event["event"] == "step":
                step += 1
                stage.advance(
                    event["ended"],
                    f"{min(task.together, len(task.prompts))} at once, token {step} of {task.max_tokens} at most",
                )
            else:
                answers = event["answers"]
                prompts = task.prompts[done : done + len(answers)]
                step, done = 0, done + len(answers)
                yield [prompt + answer for prompt, answer in zip(prompts, answers, strict=True)]


@contextmanager
def _opened(model: Path, folder: Path, progress: Progress) -> Iterator[Path]:
    """The cache file for this model, ours alone while the block lasts. Where none can be, one in `folder`."""
    facts = [
        settings(), digests.tensor_digest(model, progress), digests.tokenizer_digest(model),
        digests.template_digest(model),
    ]  # fmt: skip
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
    place = cache_folder() / "calibration"
    try:
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{key}.jsonl").open("ab").close()
    except OSError as error:
        log.warning("The answers to calibrate with cannot be kept in %s: %s", place, error.strerror)
        place = folder
    path = place / f"{key}.jsonl"
    lock = FileLock(path.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.warning("Another run generates answers of this model: waiting for it.")
        lock.acquire()
    try:
        yield path
    finally:
        lock.release()


def _read(cache: Path) -> dict[tuple[int, int], list[str]]:
    """Samples by the number of the first and how many they are. A line that was not written whole is left out."""
    found: dict[tuple[int, int], list[str]] = {}
    if not cache.is_file():
        return found
    for line in cache.read_bytes().split(b"\n"):
        try:
            first, texts = json.loads(line)
        except (ValueError, TypeError):
            continue
        if isinstance(first, int) and isinstance(texts, list) and all(isinstance(text, str) for text in texts):
            found[first, len(texts)] = texts
    return found


def _append(cache: Path, first: int, texts: list[str]) -> None:
    """On the disk when this returns: hours of work are not lost."""
    with cache.open("ab") as stream:
        # Begun on a new line, whatever a run that was killed has left.
        stream.write(b"\n" + json.dumps([first, texts]).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
