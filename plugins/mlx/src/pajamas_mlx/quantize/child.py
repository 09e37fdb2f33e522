"""The child process that converts: `python -m pajamas_mlx.quantize.child`.

Why a child: MLX's allocator keeps what it was given, a failed assertion of Metal aborts the process it is in, and to
import mlx_lm changes the process (it sets the limit of open files and an environment variable, and prints).

One JSON object comes in on the first line of standard input (the fields of `Task`); JSON objects go out on standard
output, one a line, each with its "event": `stage` (title, total, unit), `advance` (amount, note), `planned` (size, the
most bytes that there will be), `done` (the fields of `Result`), `failed` (kind: the error's class; what, why, fix).
When standard input ends, the parent is gone, and so is this process.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from typing import Any

import attrs

from pajamas import lifeline
from pajamas.errors import NotEnoughDisk, PajamasError
from pajamas_mlx.quantize.task import Task


def main() -> None:
    channel = lifeline.take_channel()
    lifeline.die_with_parent()
    lifeline.leave_no_core_file()
    task = Task(**json.loads(lifeline.first_line()))
    threading.Thread(target=lifeline.watch_parent, daemon=True).start()

    def emit(event: str, **fields: Any) -> None:
        lifeline.write_all(channel, (json.dumps({"event": event, **fields}) + "\n").encode())

    def fail(error: PajamasError) -> None:
        emit("failed", kind=type(error).__name__, what=error.what, why=error.why, fix=error.fix)

    try:
        import mlx.core as mx

        from pajamas_mlx.quantize.work import work

        mx.set_cache_limit(0)  # freed memory goes back to the system, and is not kept for the next layer
        emit("done", **attrs.asdict(work(task, emit)))
    except PajamasError as error:
        fail(error)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        fail(NotEnoughDisk("The disk became full.", str(error), "Free some space, and run it again."))
    # Not through the interpreter's end, which would wait for the thread that reads standard input.
    os._exit(0)


if __name__ == "__main__":
    main()
