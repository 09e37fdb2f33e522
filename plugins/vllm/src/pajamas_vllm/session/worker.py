"""What is added to vLLM's workers, in the engine's processes: rows of log-probabilities in the vocabulary's order.

vLLM sorts the whole vocabulary at each place, and sends all places of a prompt, those too that it took from its cache.
"""

from __future__ import annotations

from typing import Any

FIRST = "pajamas_first"
"""Key of `SamplingParams.extra_args`: the first row of a prompt that is wanted."""


class Extension:
    """Becomes a base of vLLM's worker class (`worker_extension_cls`)."""

    model_runner: Any

    def pajamas_die_with_parent(self) -> None:
        """Be gone when the process is that has started this one, however it ends; and leave Ctrl-C to it."""
        from pajamas.lifeline import die_with_parent

        die_with_parent()

    def pajamas_keep_order(self) -> bool:
        """Send whole rows of prompts unsorted, and only the wanted ones; False for a model runner that is not known."""
        runner = self.model_runner
        sampler: Any = getattr(runner, "sampler", None)
        if not hasattr(runner, "_get_prompt_logprobs_dict") or not hasattr(sampler, "gather_logprobs"):
            return False
        gather, prompt_rows = sampler.gather_logprobs, runner._get_prompt_logprobs_dict

        def unsorted(logprobs: Any, num_logprobs: int, token_ids: Any) -> Any:
            if num_logprobs != logprobs.shape[-1]:
                return gather(logprobs, num_logprobs, token_ids)
            return _whole_rows(logprobs, token_ids)

        def wanted(*arguments: Any) -> Any:
            # Not for sampled tokens: requests share their rows, and who wants a few takes the first as the likeliest.
            sampler.gather_logprobs = unsorted
            try:
                found = prompt_rows(*arguments)
            finally:
                sampler.gather_logprobs = gather
            for name, rows in found.items():
                extra = runner.requests[name].sampling_params.extra_args or {}
                first = extra.get(FIRST, 0)
                if first and rows is not None:
                    parts = (rows.logprob_token_ids, rows.logprobs, rows.selected_token_ranks)
                    found[name] = type(rows)(*(part[first:] for part in parts))
            return found

        runner._get_prompt_logprobs_dict = wanted
        return True


def _whole_rows(logprobs: Any, token_ids: Any) -> Any:
    """As vLLM's own `gather_logprobs`: the chosen token's column first. Ranks are not asked for."""
    import torch
    from vllm.v1.outputs import LogprobsTensors

    count, size = logprobs.shape
    chosen = token_ids.unsqueeze(-1)
    every = torch.arange(size, dtype=torch.int32, device=logprobs.device).expand(count, size)
    return LogprobsTensors(
        torch.cat((chosen.to(torch.int32), every), dim=1),
        torch.cat((logprobs.gather(-1, chosen), logprobs), dim=1),
        torch.zeros(count, dtype=torch.int32, device=logprobs.device),
    )
