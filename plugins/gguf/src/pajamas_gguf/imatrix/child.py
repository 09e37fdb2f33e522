"""The child process that computes an importance matrix: `python -m pajamas_gguf.imatrix.child`.

Its events, beside those of `process`: `started` (chunks, chunk_size, tokens), `chunks` (count: so many more are done).
"""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from pajamas.errors import EngineError, UsageError
from pajamas_gguf.imatrix.process import Emit, serve

_CHUNK = 512
_TOGETHER = 4  # chunks of one batch, as in llama.cpp's tool


@frozen(kw_only=True)
class Task:
    model: str
    text: str
    """A file, UTF-8."""
    name: str
    """Of the text, for the matrix's file."""
    output: str
    threads: int
    extra_buffers: bool
    max_chunks: int | None
    parse_special: bool = False
    """Whether special tokens in the text are meant."""


def main() -> None:
    serve(Task, _compute)


def _compute(task: Task, emit: Emit) -> None:
    from pajamas.types import LoadOptions
    from pajamas_gguf import engine
    from pajamas_gguf.imatrix.collector import Collector, as_callback
    from pajamas_gguf.imatrix.matrix import ImportanceMatrix, write_matrix
    from pajamas_gguf.parameters import resolve
    from pajamas_gguf.session.context import Context
    from pajamas_gguf.session.facts import read_facts
    from pajamas_gguf.session.model import Model

    lib = engine.library()
    facts = read_facts(Path(task.model))
    size = min(_CHUNK, facts.trained_context or _CHUNK)
    options = LoadOptions(
        device="cpu", context_length=size, max_sequences=_TOGETHER, batch_size=size, threads=task.threads
    )
    parameters = resolve(options, facts.trained_context, extra_buffers=task.extra_buffers)
    model = Model(facts.parts[0], parameters, facts.metadata)
    text = Path(task.text).read_text(encoding="utf-8")
    tokens = model.tokenize(text, add_special=True, parse_special=task.parse_special)
    chunks = len(tokens) // size
    if not chunks:
        raise UsageError(
            f"{task.name} is too short to calibrate with.",
            f"It has {len(tokens)} tokens, and a chunk is {size}.",
            "Give a longer text (--calibration-text FILE), or more samples.",
        )
    chunks = min(chunks, task.max_chunks or chunks)
    collector = Collector()
    callback = as_callback(lib, collector)
    batch = size * _TOGETHER
    # A result is wanted of every token: else the engine leaves out rows of the last layer.
    params = parameters.for_separate(batch)
    params.n_batch, params.n_outputs_max = batch, batch
    params.cb_eval = callback
    emit("started", chunks=chunks, chunk_size=size, tokens=chunks * size)
    context = Context(model, parameters, params)
    first = lib.llama_vocab_bos(model.vocabulary) if lib.llama_vocab_get_add_bos(model.vocabulary) else None
    for begin in range(0, chunks, _TOGETHER):
        count = min(_TOGETHER, chunks - begin)
        context.clear()
        context.batch.clear()
        for number in range(count):
            chunk = tokens[(begin + number) * size : (begin + number + 1) * size]
            if first is not None:
                chunk[0] = first
            context.batch.add(chunk, 0, number, outputs=size)
        try:
            context.compute()
        except EngineError as error:
            if collector.error is None:
                raise
            raise EngineError("llama.cpp's values cannot be summed up.", str(collector.error), "") from error
        if collector.error is not None:
            raise EngineError(
                "The importance matrix cannot be computed.", f"{collector.error}.", "Is the model damaged?"
            )
        emit("chunks", count=count)
    write_matrix(
        Path(task.output),
        ImportanceMatrix(entries=collector.entries(), datasets=(task.name,), chunks=chunks, chunk_size=size),
    )


if __name__ == "__main__":
    main()
