"""Log-probabilities of the next token over a window of text.

vLLM gives whole rows for the tokens of a prompt. A long window is asked for in parts, each a prompt that goes one part
further; what was computed for the parts before comes from vLLM's prefix cache.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from pajamas.errors import EngineError
from pajamas_vllm import engine
from pajamas_vllm.session.worker import FIRST

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pajamas_vllm.session.core import Core

PART_BYTES = 64 << 20
"""Of log-probabilities that are asked for at once; their token ids take as much again."""
GRAIN = 256
"""Parts are multiples of so many tokens: whole blocks of the key/value cache, whatever their size is."""
_BLOCK_BYTES = 4 << 20


class Rows:
    """Stands in for the LogprobsProcessor of a request, which would make an object of each number."""

    logprobs = cumulative_logprob = prompt_logprobs = prompt_token_id_logprobs = None

    def __init__(self) -> None:
        self.prompt: Any = None
        """LogprobsTensors of the prompt's places."""
        self.last: Any = None
        """LogprobsLists of the place after the prompt."""

    def update_from_output(self, output: Any) -> None:
        self.prompt = output.new_prompt_logprobs_tensors or self.prompt
        self.last = output.new_logprobs or self.last

    def pop_prompt_logprobs(self) -> None:
        """There are none in vLLM's form."""

    def pop_prompt_token_id_logprobs(self) -> None:
        """Likewise."""


def blocks(core: Core, tokens: list[int], first: int, size: int) -> Iterator[NDArray[np.float32]]:
    """float32 [rows, size] for positions `first` on, the rows in order. A block is at most 4 MiB, or one row.

    Parts are cut at the same places whatever `first` is, because rounding depends on what is computed together.

    Raises:
        EngineError: the engine fails, has died, or the session was closed meanwhile.
    """
    count = max(PART_BYTES // (4 * size) // GRAIN, 1) * GRAIN
    piece = max(1, _BLOCK_BYTES // (4 * size))
    salt = f"pajamas-score-{core.next_name()}"
    for begin in range(0, len(tokens), count):
        if begin + count <= first:
            if begin + 2 * count > first:
                _part(core, salt, tokens[: begin + count], begin + count, None)  # what the rows build on
            continue
        end = min(begin + count, len(tokens))
        rows = _part(core, salt, tokens[: end + 1], begin, end)
        yield from _pieces(rows, max(first - begin, 0), piece, size)


def _pieces(rows: list[Any], skipped: int, piece: int, size: int) -> Iterator[NDArray[np.float32]]:
    for ids, logprobs in rows:
        for start in range(skipped, len(logprobs), piece):
            yield _ordered(ids[start : start + piece], logprobs[start : start + piece], size)
        skipped = max(skipped - len(logprobs), 0)


def _ordered(ids: Any, logprobs: Any, size: int) -> NDArray[np.float32]:
    """Rows in the order of token ids; their first column is the chosen token's, once more."""
    import numpy as np

    found = np.full((len(ids), size), -np.inf, np.float32)
    np.put_along_axis(found, ids[:, 1:].astype(np.int64), logprobs[:, 1:], axis=1)
    return found


def _part(core: Core, salt: str, prompt: list[int], begin: int, end: int | None) -> list[Any]:
    """(ids, logprobs), numpy arrays [rows, 1 + vocabulary], of the places from `begin` to `end`; none are asked for
    where there is no end.

    :param salt: for the cache: what other requests have computed has no rows, and must not be taken from it.
    """
    import numpy as np

    core.check()
    running = core.submit(_beside(core, salt, prompt, begin, end))
    try:
        rows = running.result()
    except CancelledError as error:
        raise EngineError("The scoring was cancelled.", "Another thread has closed the session.", "") from error
    except BaseException:  # Ctrl-C too: what nobody waits for is not computed
        running.cancel()
        raise
    if end is None:
        return []
    found = []
    if rows.prompt is not None:
        ids, logprobs = rows.prompt.logprob_token_ids.numpy(), rows.prompt.logprobs.numpy()
        wanted = min(end, len(prompt) - 1) - begin
        found.append((ids[len(ids) - wanted :], logprobs[len(logprobs) - wanted :]))
    if end == len(prompt):
        found.append((np.asarray(rows.last.logprob_token_ids), np.asarray(rows.last.logprobs)))
    return found


async def _beside(core: Core, salt: str, prompt: list[int], begin: int, end: int | None) -> Rows:
    """`_ask`, while no exact request is computed, which must be alone."""
    async with core.gate.enter(alone=False):
        return await _ask(core, salt, prompt, begin, end)


async def _ask(core: Core, salt: str, prompt: list[int], begin: int, end: int | None) -> Rows:
    """One request, as `AsyncLLM.add_request` makes it, but for what takes its log-probabilities."""
    vllm, llm = engine.engine(), core.llm
    params = vllm.sampling.SamplingParams(
        temperature=0.0,
        max_tokens=1,
        prompt_logprobs=None if end is None else -1,
        logprobs=-1 if end == len(prompt) else None,
        detokenize=False,
        output_kind=vllm.sampling.RequestOutputKind.FINAL_ONLY,
        skip_reading_prefix_cache=not begin,
        extra_args={FIRST: begin},
    )
    tasks = await llm.get_supported_tasks()
    request = llm.input_processor.process_inputs(
        core.next_name(), vllm.inputs.tokens_input(prompt, cache_salt=salt), params, supported_tasks=tasks
    )
    llm.input_processor.assign_request_id(request)
    llm._run_output_handler()
    queue = vllm.outputs.RequestOutputCollector(params.output_kind, request.request_id)
    llm.output_processor.add_request(request, None, None, 0, queue)
    rows = Rows()
    llm.output_processor.request_states[request.request_id].logprobs_processor = rows
    try:
        await llm.engine_core.add_request_async(request)
        await queue.get()
    except asyncio.CancelledError:
        await llm.abort(request.request_id, internal=True)
        raise
    except Exception as error:
        raise core.translated(error) from error
    return rows
