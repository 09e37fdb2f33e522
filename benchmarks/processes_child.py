"""A process of `processes.py`: one sequence in a bare loop, or a session that computes several requests at once.

    python processes_child.py bare|session FILE THREADS CONTEXT

Each line of standard input, "TOKENS REQUESTS", is answered by a line when they are generated.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    kind, path, threads, context = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    if kind == "bare":
        import bare

        model = bare.load(path)
        loaded = bare.new_context(model, length=context, threads=threads)

        def run(tokens: int, _: int) -> None:
            bare.decode(model, loaded, tokens)
    else:
        from generation import Generation

        bench = Generation(path, threads, context)

        def run(tokens: int, requests: int) -> None:
            bench.together(requests, tokens)

    run(4, 1)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        run(*map(int, line.split()))
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
