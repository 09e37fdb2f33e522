"""Tools and tool_choice: which functions the model is told of, and calls that it is made to write."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from pajamas.chat.calls import json_call, random_id
from pajamas.chat.formats import ToolFormat, tool_format
from pajamas.chat.messages import normalise_tools
from pajamas.errors import UsageError
from pajamas.types import Chunk
from pajamas_serve.api.requests import NamedTool
from pajamas_serve.errors import BadParameter

if TYPE_CHECKING:
    from pajamas.worker.protocol import Facts
    from pajamas_serve.api.running import Job

_BEGINNINGS = {ToolFormat.HERMES: "<tool_call>\n", ToolFormat.QWEN3_CODER: ""}
"""What a model writes before the JSON of a call; given to it, it goes on as it has learned to."""


@frozen(kw_only=True)
class Choice:
    """What `tool_choice` comes to."""

    tools: tuple[Mapping[str, Any], ...] = ()
    schema: Mapping[str, Any] | None = None
    """What a forced call must be."""

    @property
    def forced(self) -> bool:
        return self.schema is not None


def choice_of(choice: str | NamedTool | None, tools: Sequence[Mapping[str, Any]] | None) -> Choice:
    """Raises BadParameter for a function that is not among the tools, and for tools that are none."""
    known = _known(tools or ())
    if not known:
        if choice not in (None, "none", "auto"):
            raise BadParameter("tool_choice", "There are no tools to choose from.", "Give tools.")
        return Choice()
    if choice == "none":
        return Choice()
    if choice in (None, "auto"):
        return Choice(tools=tuple(known))
    wanted = known
    if isinstance(choice, NamedTool):
        wanted = [tool for tool in known if tool["function"]["name"] == choice.function.name]
        if not wanted:
            raise BadParameter("tool_choice.function.name", f"There is no tool {choice.function.name!r}.")
    calls = [_call_schema(tool["function"]) for tool in wanted]
    return Choice(tools=tuple(known), schema=calls[0] if len(calls) == 1 else {"anyOf": calls})


def _known(tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    names = set()
    for number, tool in enumerate(tools):
        place = f"tools[{number}]"
        if "function" in tool and tool.get("type") != "function":
            raise BadParameter(f"{place}.type", "Only tools of type 'function' can be offered.", "")
        try:
            (known,) = normalise_tools([tool])
        except UsageError as error:
            raise BadParameter(place, error.what.replace("tool 1", place), error.why, error.fix) from None
        function = known["function"]
        if not isinstance(function.get("parameters") or {}, dict):
            raise BadParameter(f"{place}.function.parameters", "Parameters are described by a JSON schema, an object.")
        if function["name"] in names:
            raise BadParameter(f"{place}.function.name", f"There are two tools {function['name']!r}.")
        names.add(function["name"])
    return normalise_tools(tools)


def _call_schema(function: Mapping[str, Any]) -> dict[str, Any]:
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    return {
        "type": "object",
        "properties": {"name": {"const": function["name"]}, "arguments": parameters},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def force(job: Job, choice: Choice, facts: Facts) -> Job:
    """The answer is one call: its JSON is constrained, and read here instead of by the template's parser."""
    format = tool_format(facts.chat_template or "")
    beginning = _BEGINNINGS.get(format, "") if format else ""
    prompt = (job.request.prompt or "") + beginning
    names = [tool["function"]["name"] for tool in choice.tools]
    return evolve(job, request=evolve(job.request, prompt=prompt), reader=lambda: ForcedCall(names), form="tools")


class ForcedCall:
    """Reads an answer that is one call in JSON; one that was cut off is given back as the text that it is."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._text = ""

    def feed(self, raw: Chunk) -> list[Chunk]:
        self._text += raw.text
        rest = evolve(raw, text="")
        if raw.finish_reason is None:
            return [rest] if rest.token_ids else []
        call = json_call(self._text, random_id, names=self._names)
        if call is None:
            return [evolve(rest, text=self._text)]
        arguments = json.dumps(json.loads(call.arguments), ensure_ascii=False)
        return [evolve(rest, tool_calls=(evolve(call, arguments=arguments),), finish_reason="tool_calls")]
