"""What a session's client and its worker process say to each other.

A frame is 4 bytes of magic, the payload's length (unsigned 32 bits, big endian) and the payload: one JSON object, whose
"kind" names the message. Records travel by cattrs, so a field that the other side does not know is an error and never
lost; both sides therefore run the same version of pajamas (`Hello`). Nothing is pickled.

    client                          worker
                                    Hello
    Load                     ->     Ready | Failure (id 0)
    Call                     ->     Item ... End | Failure
    Credit, Cancel           ->
    Taken                    ->     (the shared block may be written again)
    Ping                     ->     Pong
    Close                    ->     (exits)
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from attrs import frozen

from pajamas.errors import EngineError
from pajamas.types import Architecture, Artifact, Chunk, Feature, LoadOptions, MemoryUse, Sampling, TokenLogprob

if TYPE_CHECKING:
    from cattrs import Converter

PROTOCOL = 1
MAX_PAYLOAD = 64 * 2**20
"""Bytes. The longest message is a text of this size; arrays do not go through the pipe."""
MAGIC = b"pjw\x01"

BESIDE_A_STREAM = ("tokenize", "detokenize")
"""Calls that do not touch the engine's state. A caller may make them between two chunks of a stream that he has open,
so they must not wait for its end."""

T = TypeVar("T")

_PREFIX = struct.Struct(">4sI")
_dumps = json.JSONEncoder(separators=(",", ":")).encode


@frozen(kw_only=True)
class Facts:
    """What a session says of itself once it is loaded."""

    backend: str
    architecture: Architecture
    context_length: int
    features: frozenset[Feature]
    memory: MemoryUse
    chat_template: str | None
    special_tokens: Mapping[str, str]
    default_sampling: Sampling


@frozen(kw_only=True)
class Hello:
    protocol: int
    version: str


@frozen(kw_only=True)
class Load:
    backend: str
    artifact: Artifact
    options: LoadOptions


@frozen(kw_only=True)
class Ready:
    facts: Facts


@frozen(kw_only=True)
class Call:
    id: int
    method: Literal["tokenize", "detokenize", "generate", "score", "embed", "save_prompt_cache", "load_prompt_cache"]
    arguments: Mapping[str, Any]
    window: int
    """How many items may be sent before the first `Credit`."""
    delay: float = 0.0
    """Seconds that items but the first may be held back, to be sent together."""


@frozen(kw_only=True)
class Credit:
    id: int
    count: int


@frozen(kw_only=True)
class Cancel:
    id: int


@frozen(kw_only=True)
class Item:
    id: int
    value: Any = None
    block: tuple[int, ...] | None = None
    """Shape of the float32 array that lies in the shared block, if the item is one."""


@frozen(kw_only=True)
class End:
    id: int


@frozen(kw_only=True)
class Failure:
    id: int
    error: str
    """Name of a class in `pajamas.errors`."""
    what: str
    why: str = ""
    fix: str = ""
    trace: str = ""
    """The traceback of an exception that is not in that tree."""


@frozen(kw_only=True)
class Taken:
    pass


@frozen(kw_only=True)
class Ping:
    pass


@frozen(kw_only=True)
class Pong:
    pass


@frozen(kw_only=True)
class Close:
    pass


Message = Hello | Load | Ready | Call | Credit | Cancel | Item | End | Failure | Taken | Ping | Pong | Close

_KINDS: Mapping[str, type[Message]] = {
    kind.__name__.lower(): kind
    for kind in (Hello, Load, Ready, Call, Credit, Cancel, Item, End, Failure, Taken, Ping, Pong, Close)
}


def encode(message: Message) -> bytes:
    """The frame of `message`.

    Raises:
        EngineError: it holds something that JSON cannot carry, or is longer than `MAX_PAYLOAD`.
    """
    kind = type(message).__name__.lower()
    try:
        payload = _dumps({"kind": kind} | _converter().unstructure(message)).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise EngineError(
            f"A {kind} message cannot be sent between this process and the worker.",
            f"{type(error).__name__}: {error}",
            "Give only what JSON can carry.",
        ) from error
    if len(payload) > MAX_PAYLOAD:
        raise EngineError(
            f"A {kind} message of {len(payload)} bytes is too long for the worker.",
            f"The limit is {MAX_PAYLOAD} bytes.",
        )
    return _PREFIX.pack(MAGIC, len(payload)) + payload


def encode_chunk(id: int, chunk: Chunk) -> bytes:
    """The frame of an `Item` that holds a chunk: the same as `encode`'s, for a tenth of the time."""
    value: dict[str, Any] = {}
    if chunk.text:
        value["text"] = chunk.text
    if chunk.token_ids:
        value["token_ids"] = chunk.token_ids
    if chunk.cached_tokens:
        value["cached_tokens"] = chunk.cached_tokens
    if chunk.logprobs:
        value["logprobs"] = [_logprob_to_json(entry) for entry in chunk.logprobs]
    if chunk.reasoning or chunk.tool_calls or chunk.finish_reason is not None or chunk.usage is not None:
        value = to_json(chunk)
    payload = b'{"kind":"item","id":%d,"value":%s}' % (id, _dumps(value).encode("ascii"))
    return _PREFIX.pack(MAGIC, len(payload)) + payload


def chunk_of(value: Any) -> Chunk:
    """The chunk in an item's value. Raises EngineError where it is none."""
    if type(value) is dict and len(value) == 2 and type(value.get("text")) is str:
        tokens = value.get("token_ids")
        if type(tokens) is list and all(type(token) is int for token in tokens):
            return Chunk(text=value["text"], token_ids=tuple(tokens))
    return from_json(value, Chunk)


def decode(payload: bytes) -> Message:
    """The message of a frame's payload.

    Raises:
        EngineError: it is none.
    """
    try:
        body = json.loads(payload.decode())  # of bytes it would guess the encoding each time
        kind = body.pop("kind")
        if kind == "item" and len(body) == 2 and "value" in body and type(body["id"]) is int:
            return Item(id=body["id"], value=body["value"])  # most messages are this one
        return _converter().structure(body, _KINDS[kind])
    except Exception as error:  # cattrs' own too, whose import would cost every message more than its reading
        raise EngineError(
            "A worker frame holds no message.", f"{type(error).__name__}: {error}: {payload[:80]!r}"
        ) from error


def to_json(value: object) -> Any:
    return _converter().unstructure(value)


def from_json(value: Any, kind: type[T]) -> T:
    """Raises EngineError where `value` is no `kind`."""
    from cattrs import BaseValidationError

    try:
        return _converter().structure(value, kind)
    except (BaseValidationError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise EngineError(f"A worker message holds no {kind}.", f"{type(error).__name__}: {error}") from error


class FrameBuffer:
    """Cuts what comes through a pipe into payloads."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Raises EngineError for bytes that are no frame, before they are waited for or kept."""
        self._data += data
        while len(self._data) >= _PREFIX.size:
            magic, length = _PREFIX.unpack_from(self._data)
            if magic != MAGIC:
                raise EngineError("A worker's pipe carries something that is no frame.", repr(bytes(self._data[:80])))
            if length > MAX_PAYLOAD:
                raise EngineError(f"A worker frame says it has {length} bytes.", f"The limit is {MAX_PAYLOAD} bytes.")
            end = _PREFIX.size + length
            if len(self._data) < end:
                return
            payload = bytes(self._data[_PREFIX.size : end])
            del self._data[:end]
            yield payload

    @property
    def partial(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._data)


@cache
def _converter() -> Converter:
    from cattrs.gen import make_dict_structure_fn
    from cattrs.preconf.json import make_converter

    converter = make_converter(omit_if_default=True, forbid_extra_keys=True)
    # Another version's greeting may say more; it must still be understood well enough to be refused.
    converter.register_structure_hook(Hello, make_dict_structure_fn(Hello, converter, _cattrs_forbid_extra_keys=False))
    # By hand: the field `bytes` hides the type of that name when cattrs resolves the class's annotations.
    converter.register_structure_hook(TokenLogprob, lambda value, _: _logprob_from_json(value))
    converter.register_unstructure_hook(TokenLogprob, _logprob_to_json)
    return converter


def _logprob_to_json(value: TokenLogprob) -> dict[str, Any]:
    top = [_logprob_to_json(other) for other in value.top]
    return {
        "token_id": value.token_id,
        "token": value.token,
        "bytes": value.bytes.hex(),
        "logprob": value.logprob,
        "top": top,
    }


def _logprob_from_json(value: Mapping[str, Any]) -> TokenLogprob:
    return TokenLogprob(
        token_id=int(value["token_id"]),
        token=str(value["token"]),
        bytes=bytes.fromhex(value["bytes"]),
        logprob=float(value["logprob"]),
        top=tuple(_logprob_from_json(other) for other in value["top"]),
    )
