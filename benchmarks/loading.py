"""How long it takes to the first token, against what the engine needs for the vocabulary alone, and in all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ratios import Ratio, by_turns, ratio

_CONTEXT = 4096
_VOCABULARY = """
import sys, time
from pajamas_gguf import engine
lib = engine.library()
began = time.perf_counter()
params = lib.llama_model_default_params()
params.vocab_only = True
lib.llama_model_load_from_file(sys.argv[1].encode(), params)
print(time.perf_counter() - began)
"""
_ENGINE = """
import sys, time
from pathlib import Path
import bare
from pajamas_gguf import engine
from pajamas_gguf.probe import probe
engine.library(), probe()
began = time.perf_counter()
model = bare.load(Path(sys.argv[1]))
bare.decode(model, bare.new_context(model, length=int(sys.argv[2]), threads=int(sys.argv[3])), 1)
print(time.perf_counter() - began)
"""
_PAJAMAS = """
import sys, time
from pathlib import Path
from pajamas.types import Artifact, GenerateRequest, LoadOptions, Sampling
from pajamas_gguf import engine
from pajamas_gguf.session.load import load
engine.library()
began = time.perf_counter()
options = LoadOptions(context_length=int(sys.argv[2]), threads=int(sys.argv[3]))
session = load(Artifact(path=Path(sys.argv[1]), format="gguf"), options)
request = GenerateRequest(token_ids=tuple(range(1000, 1032)), sampling=Sampling(temperature=0), max_tokens=1)
next(session.generate(request))
print(time.perf_counter() - began)
"""


def measure(path: Path, *, threads: int, rounds: int) -> list[Ratio]:
    """Each measurement is a new process, timed from after its imports; the file is in the page cache by then."""

    def seconds(code: str) -> float:
        arguments = [str(path), str(_CONTEXT), str(threads)]
        command = [sys.executable, "-c", code, *arguments]
        found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).parent)
        return float(found.stdout)

    ways = {
        "pajamas": lambda: seconds(_PAJAMAS),
        "vocabulary": lambda: seconds(_VOCABULARY),
        "engine": lambda: seconds(_ENGINE),
    }
    found = by_turns(ways, rounds)
    return [
        ratio("load, context, first token / load of the vocabulary alone", found["pajamas"], found["vocabulary"],
              unit="s", reach="<= 1.6"),
        ratio("the same / the same by the engine itself", found["pajamas"], found["engine"], unit="s"),
    ]  # fmt: skip
