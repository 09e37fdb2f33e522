"""How long it takes to the first token, against what the engine needs for the vocabulary alone: by turns, medians.

    uv run python benchmarks/loading.py --model FILE [--rounds 5] [--profile]

Each measurement is a new process, timed from after its imports; the file is in the page cache, as after a first use.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

VOCABULARY = """
import json, sys, time
from pajamas_gguf import engine
lib = engine.library()
began, before = time.perf_counter(), time.process_time()
params = lib.llama_model_default_params()
params.vocab_only = True
model = lib.llama_model_load_from_file(sys.argv[1].encode(), params)
print(json.dumps([time.perf_counter() - began, time.process_time() - before]))
"""
FIRST_TOKEN = """
import json, sys, time
from pathlib import Path
from pajamas.types import Artifact, GenerateRequest, LoadOptions, Sampling
from pajamas_gguf import engine
from pajamas_gguf.session.load import load
engine.library()
options = LoadOptions(context_length=int(sys.argv[2]) or None)
profile = None
if "profile" in sys.argv:
    import cProfile
    profile = cProfile.Profile()
    profile.enable()
began, before = time.perf_counter(), time.process_time()
session = load(Artifact(path=Path(sys.argv[1]), format="gguf"), options)
request = GenerateRequest(prompt="What is 2+2?", sampling=Sampling(temperature=0), max_tokens=1)
next(session.generate(request))
print(json.dumps([time.perf_counter() - began, time.process_time() - before]))
if profile:
    import pstats
    profile.disable()
    pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(14)
"""


def run(code: str, *arguments: str) -> list[float]:
    found = subprocess.run([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    seconds: list[float] = json.loads(found.stdout)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds to the first token.")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--context", type=int, default=4096, help="0 is the session's own choice")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    arguments = [str(options.model), str(options.context)]
    run(FIRST_TOKEN, *arguments)  # probes the engine, checks the file, fills the page cache
    if options.profile:
        run(FIRST_TOKEN, *arguments, "profile")
    pairs = [(run(VOCABULARY, *arguments), run(FIRST_TOKEN, *arguments)) for _ in range(options.rounds)]
    for name, place in (("vocabulary alone", 0), ("first token", 1)):
        wall, cpu = (statistics.median(pair[place][kind] for pair in pairs) for kind in (0, 1))
        sys.stdout.write(f"{name:20} {wall:6.2f} s, {cpu:6.2f} s of CPU time\n")
    wall, cpu = (statistics.median(first[kind] / vocabulary[kind] for vocabulary, first in pairs) for kind in (0, 1))
    sys.stdout.write(f"ratio {wall:.2f}, of CPU time {cpu:.2f}\n")


if __name__ == "__main__":
    main()
