"""Run by the interpreter that has vLLM, once for all tests: what can only be asked beside the engine.

`python inside.py FOLDER` loads models in this process and writes answers.json there, by the name of each question.
`python inside.py` loads one, says so, and waits to be killed.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import threading
import time
from pathlib import Path

import numpy as np

from pajamas.errors import PajamasError
from pajamas.types import Artifact, LoadOptions
from pajamas_vllm import engine
from pajamas_vllm.hooks import load
from pajamas_vllm.session import score
from pajamas_vllm.session.facts import read_facts
from pajamas_vllm.session.parameters import resolve
from questions import MODEL, STORY, TINY, request, text_of, tokens_of

OPTIONS = LoadOptions(context_length=1024, threads=1)
REFUSED = {
    "no context": {"context_length": 0},
    "beyond the trained context": {"context_length": 1 << 20},
    "too many sequences": {"max_sequences": 1 << 20},
    "an unknown type": {"compute_dtype": "int8"},
    "more sequences than tokens": {"max_sequences": 4, "batch_size": 2},
    "no devices": {"tensor_parallel": 0},
    "an unknown starter": {"distributed": "no-such"},
    "attention": {"flash_attention": True},
    "a type of the cache": {"kv_type": "q8_0"},
    "embeddings": {"embeddings": True},
    "another device": {"device": "metal"},
}


def told(call):
    """What an error says, or None where there is none."""
    try:
        call()
    except PajamasError as error:
        return [type(error).__name__, error.what, error.why]
    return None


def refused_options():
    return {
        what: told(lambda options=options: load(MODEL, LoadOptions(**options))) for what, options in REFUSED.items()
    }


def honoured():
    """What vLLM is given for options that it has by other names."""
    found = resolve(LoadOptions(mmap=False, batch_size=4), read_facts(TINY)).arguments
    return [found["safetensors_load_strategy"], found["max_num_batched_tokens"], found["max_num_seqs"]]


def free_while_another_starts():
    """Whether a thread gets the engine's modules while another holds the environment, as a start does."""
    engine.engine()
    asking = threading.Thread(target=engine.engine, daemon=True)
    with engine.environment():
        asking.start()
        asking.join(5)
        return not asking.is_alive()


def failed_starts(folder):
    """Models that only the engine can refuse."""
    strange = folder / "strange"
    shutil.copytree(TINY, strange, ignore=shutil.ignore_patterns("*.jsonl", "*.toml"))
    config = json.loads((strange / "config.json").read_text())
    (strange / "config.json").write_text(json.dumps(config | {"architectures": ["NoSuchForCausalLM"]}))
    lacking = folder / "lacking"
    shutil.copytree(TINY, lacking, ignore=shutil.ignore_patterns("*.jsonl", "*.toml"))
    count, kinds = config["num_hidden_layers"] + 1, [*config["layer_types"], config["layer_types"][-1]]
    (lacking / "config.json").write_text(json.dumps(config | {"num_hidden_layers": count, "layer_types": kinds}))
    return {
        "unknown": told(lambda: load(Artifact(path=strange, format="safetensors"), OPTIONS)),
        "without a layer": told(lambda: load(Artifact(path=lacking, format="safetensors"), OPTIONS)),
    }


def parts(session):
    """How far rows lie apart that are computed in parts, and in one."""
    window = session.tokenize(STORY * 40)[:700]

    def rows(first=0):
        return np.concatenate(list(session.score(window, first)))

    whole, usual = rows(), score.PART_BYTES
    score.PART_BYTES = 1
    try:
        found = {first: rows(first) for first in (0, 300, 699)}
    finally:
        score.PART_BYTES = usual
    return {str(first): [len(part), float(np.abs(part - whole[first:]).max())] for first, part in found.items()}


def cancelled(session):
    """A stream that another thread closes frees its place in the engine."""
    stream = session.generate(request(max_tokens=900, ignore_eos=True))
    next(stream)
    timer = threading.Timer(0.2, stream.close)
    timer.start()
    chunks = list(stream)
    forgotten = session.generate(request(max_tokens=900, ignore_eos=True))
    next(forgotten)
    del forgotten
    deadline = time.monotonic() + 20
    while session._core.llm.output_processor.has_unfinished_requests() and time.monotonic() < deadline:
        time.sleep(0.02)
    return {
        "reason": chunks[-1].finish_reason if chunks else None,
        "tokens": len(tokens_of(chunks)),
        "left": session._core.llm.get_num_unfinished_requests(),
    }


def together(session):
    """Answers of several threads, and of one after the other."""
    prompts = [f"{STORY} {word}" for word in ("went", "saw", "found")]
    alone = [tokens_of(session.generate(request(prompt, exact=True))) for prompt in prompts]
    found = {}

    def run(number):
        found[number] = tokens_of(session.generate(request(prompts[number], exact=True)))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(prompts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return alone == [found.get(number) for number in range(len(prompts))]


def ranks(session):
    """Places where a request is told other likeliest tokens beside one that wants the whole vocabulary than alone."""

    def told():
        chunks = list(session.generate(request(logprobs=3)))
        return [[one.token_id for one in entry.top[:2]] for chunk in chunks for entry in chunk.logprobs]

    alone = told()
    beside = session.generate(request(max_tokens=900, ignore_eos=True, logprobs=4096))
    next(beside)
    together = told()
    still = session._core.llm.get_num_unfinished_requests() == 1
    beside.close()
    differ = sum(one != other for one, other in zip(alone, together, strict=True))
    return {"beside": still, "differ": differ}


def exact_beside_scores(session):
    """Whether scoring waits while an exact request is computed."""
    window = session.tokenize(STORY)
    stream = session.generate(request(max_tokens=400, ignore_eos=True, exact=True))
    next(stream)
    running = threading.Thread(target=lambda: list(session.score(window)))
    running.start()
    running.join(0.2)
    waited = running.is_alive() or session._core.llm.get_num_unfinished_requests() == 0
    stream.close()
    running.join(60)
    return {"waited": waited, "ended": not running.is_alive()}


def cache(session):
    """Cached tokens of equal prompts: the first time, again, an exact one, and one that asks for none."""
    options = ({}, {}, {"exact": True}, {"cache_prompt": False})
    return [
        list(session.generate(request(STORY * 12, max_tokens=1, **more)))[-1].usage.cached_tokens for more in options
    ]


def requests(session):
    hot = {"temperature": 5.0}, {"temperature": 0.001}, {"typical_p": 0.5}, {"logit_bias": {1 << 30: 1.0}}
    schemas = {"type": "object", "not": {}}, {"type": "nope"}
    return {
        "refused": [told(lambda more=more: session.generate(request(**more))) for more in hot],
        "schemas": [told(lambda one=one: session.generate(request(json_schema=one))) for one in schemas],
        "grammar": told(lambda: session.generate(request(grammar='root ::= "yes"'))),
        "stopped": text_of(session.generate(request(stop=("excited", "never said")))),
        "whole": text_of(session.generate(request())),
        "least": len(tokens_of(session.generate(request(top_p=0.0, temperature=2.0)))),
    }


def surroundings():
    """What loading has left in the process: environment variables, and where standard output leads."""
    return {name: value for name, value in os.environ.items() if name.startswith(("VLLM", "HF_HUB", "OMP", "TORCH"))}


def wait():
    with load(MODEL, OPTIONS):
        os.write(1, b"loaded\n")
        time.sleep(600)


def main() -> None:
    if len(sys.argv) == 1:
        wait()
    folder = Path(sys.argv[1])
    logging.basicConfig(level=logging.WARNING)
    before = surroundings()
    found = {
        "options": refused_options(),
        "honoured": honoured(),
        "free": free_while_another_starts(),
        "starts": failed_starts(folder),
    }
    with load(MODEL, OPTIONS) as session:
        for question in (parts, cancelled, together, ranks, exact_beside_scores, cache, requests):
            found[question.__name__] = question(session)
    found["surroundings"] = surroundings() == before
    (folder / "answers.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
