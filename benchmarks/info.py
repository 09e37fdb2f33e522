"""What `pajamas info MODEL` costs: seconds and CPU seconds (child processes included) of its stages.

    uv run python benchmarks/info.py MODEL

MODEL is anything that `info` takes. The tokenizer's stage is done once in the whole, whatever the number of profiles.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def measured(stage: str) -> Iterator[None]:
    start, before = time.perf_counter(), os.times()
    yield
    cpu = sum(os.times()[:4]) - sum(before[:4])
    sys.stdout.write(f"{stage:36} {time.perf_counter() - start:6.2f} s {cpu:6.2f} s CPU\n")


def main(model: str) -> None:
    with measured("imports"):
        from pajamas import hub
        from pajamas.architecture import detect_architecture
        from pajamas.operations.info import info
        from pajamas.source import parse_source
        from pajamas_gguf.convert.converter import write_header_only
    with measured("files, config and weights' headers"):
        source, files = hub.open_files(parse_source(model))
        detect_architecture(files)
    with measured("tokenizer and 16-bit header"), tempfile.TemporaryDirectory() as folder:
        write_header_only(files, source, Path(folder, "outline.gguf"), name="model")
    with measured("the whole info"):
        info(model)


if __name__ == "__main__":
    main(sys.argv[1])
