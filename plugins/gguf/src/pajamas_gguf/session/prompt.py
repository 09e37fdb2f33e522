"""What a request asks to be gone on from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pajamas.errors import UsageError

if TYPE_CHECKING:
    from pajamas.types import GenerateRequest
    from pajamas_gguf.session.model import Model


def prompt_of(request: GenerateRequest, model: Model) -> list[int]:
    """The prompt's tokens, at least one.

    Raises:
        UsageError: the request makes no sense, or is not rendered.
    """
    if (request.prompt is None) == (request.token_ids is None):
        raise UsageError(
            "A backend needs a rendered prompt or token ids.", "Messages are rendered by pajamas' core.", "Give one."
        )
    if request.max_tokens is not None and request.max_tokens < 0:
        raise UsageError(f"max_tokens {request.max_tokens} makes no sense.", "It must be at least 0.", "")
    if request.logprobs is not None and request.logprobs < 0:
        raise UsageError(f"{request.logprobs} log-probabilities make no sense.", "It must be at least 0.", "")
    if request.json_schema is not None and request.grammar is not None:
        raise UsageError("A JSON schema and a grammar exclude each other.", "", "Give one.")
    if request.token_ids is not None:
        prompt = list(request.token_ids)
        model.check_tokens(prompt)
    else:
        prompt = model.prompt_tokens(request.prompt or "")
    if not prompt:
        raise UsageError(
            "The prompt is empty.", "The model needs at least one token to go on from.", "Write something."
        )
    return prompt
