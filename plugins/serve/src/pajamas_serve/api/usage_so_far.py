"""The `usage` of a stream's parts: none, null, or (`continuous_usage_stats`, an option of vLLM's) what it is so far."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pajamas_serve.api.requests import StreamOptions
    from pajamas_serve.api.running import Answer, Job
    from pajamas_serve.pool.pool import ModelPool


class UsageSoFar:
    """Args: prompts: tokens of all prompts together; None where the parts do not say."""

    def __init__(self, options: StreamOptions | None, prompts: int | None) -> None:
        self.at_end = bool(options and options.include_usage)
        """Whether a part of its own says it at the end."""
        self._prompts = prompts

    def tail(self, answers: Sequence[Answer]) -> str:
        """What a part says of it, as the end of its JSON object without the brace."""
        if self._prompts is None:
            return ',"usage":null' if self.at_end else ""
        made = sum(answer.tokens for answer in answers)
        usage = {"prompt_tokens": self._prompts, "completion_tokens": made, "total_tokens": self._prompts + made}
        return f',"usage":{json.dumps(usage, separators=(",", ":"))}'


async def usage_so_far(pool: ModelPool, options: StreamOptions | None, jobs: Sequence[Job]) -> UsageSoFar:
    """Args: jobs: one a prompt."""
    if options is None or not options.continuous_usage_stats:
        return UsageSoFar(options, None)
    prompts = 0
    async with pool.any_worker() as worker:
        for job in jobs:
            tokens = job.request.token_ids
            prompts += len(tokens if tokens is not None else await worker.tokenize(job.request.prompt or ""))
    return UsageSoFar(options, prompts)
