"""The source of a small sound backend, and of others with exactly one fault: what the kit must pass, and must catch."""

from __future__ import annotations

import textwrap

ENGINE = """
    '''What a backend would call its engine.'''

    def answer(prompt):
        return sum(map(ord, prompt)) % 100
"""

SOUND = '''
"""Artifacts are folders of one JSON file; an answer is the numbers that follow one that the prompt stands for."""

from __future__ import annotations

import importlib.util
import json
import os

from pajamas.errors import ModelFileError
from pajamas.hookspecs import hookimpl
from pajamas.types import Architecture, Artifact, BackendInfo, Chunk, Feature, MemoryUse, Sampling, Usage

NAME = "paper"


@hookimpl
def describe():
    here = importlib.util.find_spec("paper_engine") is not None
    return BackendInfo(
        name=NAME,
        engine="paper",
        engine_version="1",
        formats=("paper",),
        schemes=("plain", "Fine"),
        features=frozenset({Feature.STREAM}),
        devices=("cpu",),
        unavailable=None if here else "paper-engine is not installed",
        fix="" if here else "pip install paper-engine",
        scheme_aliases={"simple": "plain"},
    )


@hookimpl
def detect_architecture(files):
    try:
        size = files.sizes()["weights.json"]
        header = json.loads(files.read("weights.json", 0, size)) if size < 10_000 else {}
    except (ModelFileError, KeyError, ValueError):
        return None
    return Session.architecture if header else None


@hookimpl
def quantize(job):
    if job.format != "paper":
        return None
    content = json.dumps({"model": job.name, "text": "x" * 2000})
    if not job.dry_run:
        beside = job.output.with_name(job.output.name + ".part")
        beside.mkdir(parents=True)
        (beside / "weights.json").write_text(content)
        os.replace(beside, job.output)
    return Artifact(path=job.output, format="paper", scheme=job.scheme, size=len(content))


@hookimpl
def load(artifact, options):
    from pajamas.errors import DeviceNotFound, EngineMissing

    if artifact.format != "paper":
        return None
    try:
        import paper_engine
    except ModuleNotFoundError as error:
        raise EngineMissing("paper is not installed", "", "pip install paper-engine") from error
    if options.device not in (None, "cpu"):
        raise DeviceNotFound(f"There is no {options.device} here.", "Paper needs none.", "Use cpu.")
    try:
        data = (artifact.path / "weights.json").read_bytes()
        json.loads(data)["model"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{artifact.path} cannot be read", str(error), "convert again") from error
    return Session(paper_engine)


@hookimpl
def generate(session, request):
    return session.generate(request) if session.backend == NAME else None


class Session:
    backend = NAME
    architecture = Architecture(
        model_type="paper", family="paper", num_layers=1, hidden_size=1, intermediate_size=1, num_heads=1,
        num_kv_heads=1, head_dim=1, attention_type="mha", vocab_size=256, tied_embeddings=False, context_length=1000,
    )
    context_length = 1000
    features = frozenset({Feature.STREAM})
    memory = MemoryUse(weights=0, kv_cache=0, compute=0)
    chat_template = None
    special_tokens = {}
    default_sampling = Sampling()

    def __init__(self, engine):
        self.engine = engine

    def tokenize(self, text, *, add_special=True, parse_special=True):
        return list(text.encode())

    def detokenize(self, token_ids):
        return bytes(token_ids).decode(errors="replace")

    def generate(self, request):
        first = self.engine.answer(request.prompt)
        for number in range(first, first + request.max_tokens):
            yield Chunk(text=f"{number} ", token_ids=(number,))
        usage = Usage(prompt_tokens=len(request.prompt), completion_tokens=request.max_tokens)
        yield Chunk(finish_reason="length", usage=usage)

    def close(self):
        pass
'''


def with_fault(*changes: tuple[str, str]) -> str:
    """The sound backend's source with each text replaced by another; every one must be there."""
    source = textwrap.dedent(SOUND)
    for old, new in changes:
        if old not in source:
            raise ValueError(f"the sound backend does not say {old!r}")
        source = source.replace(old, new)
    return source
