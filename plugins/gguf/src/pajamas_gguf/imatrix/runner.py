"""The parent's side of the child that computes an importance matrix."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from pajamas.progress import Progress
from pajamas_gguf.imatrix.child import Task
from pajamas_gguf.imatrix.process import follow


def compute(task: Task, folder: Path, progress: Progress) -> int:
    """Run the task; `folder` takes the engine's log. However this returns or raises, the child is dead.

    :returns: how many tokens were computed.

    Raises:
        UsageError: the text is too short for one chunk.
        EngineMissing, EngineError: the engine is not here, or refused.
        EngineCrashed: the child died, with the engine's last log lines.
    """
    module, who = "pajamas_gguf.imatrix.child", "computation of the importance matrix"
    with closing(follow(module, task, folder, who)) as events:
        started = next(events)
        with progress.stage("Computing the importance matrix", started["chunks"], "windows") as stage:
            for event in events:
                stage.advance(event["count"])
    return int(started["tokens"])
