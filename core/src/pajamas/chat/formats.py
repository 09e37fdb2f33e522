"""Which format a model writes its tool calls and its reasoning in: read off its chat template's text."""

from __future__ import annotations

import enum

from pajamas.errors import UnsupportedFeature


class ToolFormat(enum.StrEnum):
    HERMES = "hermes"
    QWEN3_CODER = "qwen3-coder"
    LLAMA3 = "llama3"
    MISTRAL = "mistral"
    HARMONY = "harmony"


THINK_TAGS = ("<think>", "</think>")
MISTRAL_THINK_TAGS = ("[THINK]", "[/THINK]")


def is_harmony(template: str) -> bool:
    return "<|channel|>" in template and "<|message|>" in template


def tool_format(template: str) -> ToolFormat | None:
    """How a model with this template writes tool calls; None for none, or for a format that pajamas cannot read."""
    if "tools" not in template:
        return None
    if is_harmony(template):
        return ToolFormat.HARMONY
    if "[TOOL_CALLS]" in template:
        return ToolFormat.MISTRAL
    if "<tool_call>" in template:
        if "<function=" in template and "<parameter=" in template:
            return ToolFormat.QWEN3_CODER
        # Other models put other things between the same tags, such as <arg_key>, or no JSON at all.
        known = '"name"' in template or '\\"name\\"' in template
        other = "<arg_key>" in template or "<tool_calls>" in template
        return ToolFormat.HERMES if known and not other else None
    if "<|start_header_id|>" in template and '"parameters": ' in template:
        return ToolFormat.LLAMA3
    return None


def require_tool_format(template: str) -> ToolFormat:
    """The same for a request that has tools.

    Raises:
        UnsupportedFeature: the template has no tools, or calls them in a way that pajamas cannot read.
    """
    known = tool_format(template)
    if known is not None:
        return known
    if "tools" not in template:
        raise UnsupportedFeature(
            "this model cannot be given tools",
            "its chat template has no place for them",
            "leave the tools out, or choose a model that was trained to call them, such as qwen3-1.7b",
        )
    raise UnsupportedFeature(
        "tools are not supported with this model",
        "its chat template writes tool calls in a format that pajamas cannot read",
        f"leave the tools out, or choose a model that writes one of: {', '.join(ToolFormat)}",
    )


def think_tags(template: str) -> tuple[str, str]:
    """What a model puts around its reasoning; models whose template says nothing use <think>, if any."""
    if MISTRAL_THINK_TAGS[0] in template and THINK_TAGS[0] not in template:
        return MISTRAL_THINK_TAGS
    return THINK_TAGS
