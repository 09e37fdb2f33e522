"""The Jinja environment that chat templates run in: the one that transformers gives them, with bounds.

Same options, extensions, filters and globals as `transformers.utils.chat_template_utils` (5.23), so that prompts are
the same byte for byte. On top of Jinja's sandbox every loop turn, call, filter and growing value is counted.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from datetime import datetime
from string import Formatter
from types import BuiltinMethodType
from typing import Any, NoReturn

from jinja2 import nodes, pass_context
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.meta import find_undeclared_variables
from jinja2.parser import Parser
from jinja2.runtime import Context, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from pajamas.chat.budget import spend, weight
from pajamas.chat.growth import FILTER_GROWTH, METHOD_GROWTH, operator_growth

# Their cost is beyond counting (they are quadratic, or run large patterns), and no chat template needs them.
_REMOVED_FILTERS = ("pprint", "striptags", "urlize", "wordwrap")
_REMOVED_METHODS = ("encode", "to_bytes", "translate")
_WIDTH = re.compile(r"\d{4}|\{")


class Refused(TemplateError):
    """The template itself called `raise_exception`."""


class GenerationTag(Extension):
    """`{% generation %}...{% endgeneration %}` marks what the model wrote, for training; here it only prints it."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's own declaration is an instance variable

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_print"), [], [], body).set_lineno(line)

    def _print(self, caller: Macro) -> str:
        return str(caller())


class PromptEnvironment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, loopcontrols], finalize=_weighed
        )
        for name in _REMOVED_FILTERS:
            del self.filters[name]
        self.filters["tojson"] = _tojson
        self.filters = {name: _counted(name, function) for name, function in self.filters.items()}
        self.filters["_step"] = _step
        self.filters["_weighed"] = _weighed
        self.filters["_sliced"] = _sliced
        del self.globals["lipsum"]
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = _strftime_now
        self.globals["dict"] = _Dict()
        self.globals["namespace"] = _Namespace

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        template = super()._parse(source, name, filename)
        _Counting().visit(template)
        return template

    def call(self, context: Context, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        spend()
        if isinstance(function, BuiltinMethodType):
            if function.__name__ == "join" and args:
                args = (list(args[0]), *args[1:])
            growth = METHOD_GROWTH.get(function.__name__) if isinstance(function.__self__, str) else None
            if growth is not None:
                spend(growth(function.__self__, *args, **kwargs))
        return _weighed(super().call(context, function, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        spend(operator_growth(operator, left, right))
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return attr not in _REMOVED_METHODS and super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        wrapped = super().wrap_str_format(value)
        if wrapped is not None:
            for _, _, spec, _ in Formatter().parse(value.__self__):
                if spec and _WIDTH.search(spec):
                    raise SecurityError(f"the format {spec!r} is too wide")
        return wrapped


class _Counting(NodeTransformer):
    """Puts a counter into every body that can run many times, and around every expression that can grow."""

    def _count_body(self, node: nodes.For | nodes.Macro | nodes.CallBlock) -> nodes.Node:
        self.generic_visit(node)
        size = sum(len(data.data) for part in node.body for data in part.find_all(nodes.TemplateData))
        step = nodes.Filter(nodes.Const(size), "_step", [], [], None, None)
        node.body.insert(0, nodes.ExprStmt(step).set_lineno(node.lineno))
        return node

    visit_For = visit_Macro = visit_CallBlock = _count_body

    def _count_value(self, node: nodes.Expr) -> nodes.Node:
        self.generic_visit(node)
        return nodes.Filter(node, "_weighed", [], [], None, None).set_lineno(node.lineno)

    visit_Concat = visit_List = visit_Dict = _count_value

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        return self._count_value(node) if node.ctx == "load" else node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        return nodes.Filter(node, "_sliced", [], [], None, None).set_lineno(node.lineno)


class _Dict:
    """What templates call as `dict(...)`, without the type behind it."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args)


class _Namespace(Namespace):
    """Jinja's `namespace()` without private names, and without a text: it could hold itself many times over."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, *rest = args
        attributes = dict(*rest, **kwargs)
        for name in attributes:
            _check_name(name)
        Namespace.__init__(self, attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)

    def __repr__(self) -> str:
        return "<Namespace>"


def _check_name(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace may not hold {name!r}")


@pass_context
def _step(context: Context, size: int) -> None:
    spend(size)


def _weighed(value: Any) -> Any:
    spend(weight(value))
    return value


def _sliced(value: Any) -> Any:
    """A slice prints no more than the whole did: only its own length is new."""
    if isinstance(value, str | list | tuple):
        spend(len(value))
    return value


def _counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, with what it takes and makes counted."""
    passed = 1 if hasattr(function, "jinja_pass_arg") else 0
    growth = FILTER_GROWTH.get(name)

    @functools.wraps(function)  # keeps Jinja's marks of what the filter is passed
    def run(*args: Any, **kwargs: Any) -> Any:
        if name == "join":
            args = (*args[:passed], list(args[passed]), *args[passed + 1 :])
        if growth is not None:
            spend(growth(*args[passed:], **kwargs))
        return _weighed(function(*args, **kwargs))

    return run


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON without Jinja's HTML escapes."""
    if indent is None:
        return json.dumps(value, ensure_ascii=ensure_ascii, separators=separators, sort_keys=sort_keys)
    encoder = json.JSONEncoder(ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
    pieces = []
    for piece in encoder.iterencode(value):  # indentation grows with depth: counted as it is written
        spend(len(piece))
        pieces.append(piece)
    return "".join(pieces)


def _raise_exception(message: Any) -> NoReturn:
    raise Refused(str(message))


def _strftime_now(format: str) -> str:
    return datetime.now().strftime(format)


def undeclared_variables(template: str) -> frozenset[str]:
    """The variables that a template reads from its caller."""
    return frozenset(find_undeclared_variables(environment().parse(template)))


@functools.lru_cache(maxsize=1)
def environment() -> PromptEnvironment:
    return PromptEnvironment()
