"""The types that a person asked for, tensor by tensor: checked before the work, and proven honoured after it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence

from attrs import evolve, frozen

from pajamas.errors import UsageError
from pajamas.gguf_header import GGUFTensor
from pajamas.types import QuantizeJob, TensorInfo
from pajamas_gguf.imatrix.calibration import asked
from pajamas_gguf.schemes import BLOCKS, TYPE_IDS, Scheme, find_tensor_type

_EMBEDDING, _OUTPUT = "token_embd.weight", "output.weight"


@frozen(kw_only=True)
class Overrides:
    """Types by name; the engine looks for a pattern anywhere in a tensor's name, and the first that is found wins."""

    patterns: tuple[tuple[str, str], ...] = ()
    embedding: str | None = None
    output: str | None = None

    def __bool__(self) -> bool:
        return bool(self.patterns or self.embedding or self.output)

    def record(self) -> dict[str, object]:
        """For the receipt: what was asked, nothing where nothing was."""
        asked = {"tensor_types": self.patterns, "embedding_type": self.embedding, "output_type": self.output}
        return {option: value for option, value in asked.items() if value}

    def pattern_ids(self) -> list[list[object]]:
        return [[pattern, TYPE_IDS[kind]] for pattern, kind in self.patterns]


def parse_overrides(job: QuantizeJob, scheme: Scheme) -> Overrides:
    """What the job asks for, before any tensor is known.

    Raises:
        UsageError: no such type, a bad regular expression, a scheme that does not look at patterns, or a type that
            needs an importance matrix, where none is asked for; the embedding and the output layer never have one.
    """
    if job.tensor_types and not scheme.quantized:
        raise UsageError(
            f"--tensor-type has no effect on {scheme.name}.",
            "llama.cpp looks at it only where the scheme is a quantized one.",
            "Name a quantized scheme, such as Q8_0.",
        )
    for pattern, _ in job.tensor_types:
        _check_pattern(pattern)
    weighted = asked(job)
    return Overrides(
        patterns=tuple(
            (pattern, find_tensor_type(kind, f"--tensor-type {pattern}={kind}", weighted=weighted))
            for pattern, kind in job.tensor_types
        ),
        embedding=job.embedding_type and find_tensor_type(job.embedding_type, "--token-embedding-type"),
        output=job.output_type and find_tensor_type(job.output_type, "--output-tensor-type"),
    )


def fit_overrides(overrides: Overrides, tensors: Sequence[GGUFTensor]) -> Overrides:
    """The same for the tensors of this model, or what is wrong with it.

    Where the output layer is the embedding, `--output-tensor-type` means the embedding.

    Raises:
        UsageError: a pattern that finds no tensor, two types for one tensor, or a type that a tensor's width does not
            allow (the engine would abort).
    """
    widths = {tensor.name: tensor.shape[-1] if tensor.shape else 1 for tensor in tensors}
    for pattern, kind in overrides.patterns:
        if not any(re.search(pattern, name) for name in widths):
            raise UsageError(
                f"--tensor-type {pattern}={kind} matches no tensor.",
                f"Tensors are named like {', '.join(list(widths)[:3])}.",
                "Correct the expression; `pajamas convert --dry-run --json` lists the names.",
            )
    if overrides.output and _OUTPUT not in widths:
        if overrides.embedding not in (None, overrides.output):
            raise UsageError(
                "--token-embedding-type and --output-tensor-type name different types for one tensor.",
                "This model's output layer is its embedding.",
                "Give only one of them.",
            )
        overrides = evolve(overrides, embedding=overrides.output, output=None)
    for option, name, type_name in (
        ("--token-embedding-type", _EMBEDDING, overrides.embedding),
        ("--output-tensor-type", _OUTPUT, overrides.output),
    ):
        if type_name is None:
            continue
        if name not in widths:
            raise UsageError(f"{option} has no effect.", f"The model has no tensor {name}.", "Leave it out.")
        if widths[name] % BLOCKS[type_name]:
            raise UsageError(
                f"{option} {type_name} is not possible.",
                f"{name} is {widths[name]} wide, and {type_name} needs a multiple of {BLOCKS[type_name]}.",
                "Choose Q8_0 or a 16-bit type.",
            )
    return overrides


def check_honoured(overrides: Overrides, tensors: Sequence[TensorInfo]) -> None:
    """Hold the types that the engine chose against those asked for: what is asked is honoured or refused.

    Raises:
        UsageError: a pattern has changed nothing.
    """
    honoured: dict[str, bool] = {pattern: False for pattern, _ in overrides.patterns}
    for tensor in tensors:
        first = next(((p, kind) for p, kind in overrides.patterns if re.search(p, tensor.name)), None)
        if first is not None and first[1] in (tensor.type, tensor.wanted):
            honoured[first[0]] = True
    for pattern, kind in overrides.patterns:
        if not honoured[pattern]:
            raise UsageError(
                f"--tensor-type {pattern}={kind} has no effect.",
                "The tensors that it finds are never quantized (norms, biases), or another option decides for them.",
                "Leave it out, or put it first.",
            )


def silent_fallbacks(
    scheme: Scheme, overrides: Overrides, source: Sequence[GGUFTensor], types: Mapping[str, str]
) -> dict[str, str]:
    """The one fallback that the engine does not tell of: an output layer too narrow for the scheme is Q8_0, not Q6_K.

    `source` holds the tensors before, `types` their types after.
    """
    output = next((tensor for name in (_OUTPUT, _EMBEDDING) for tensor in source if tensor.name == name), None)
    if output is None or types[output.name] != "Q8_0" or scheme.tensor_type in ("Q8_0", "MXFP4"):
        return {}
    asked = overrides.output if output.name == _OUTPUT else overrides.embedding
    if asked or any(re.search(pattern, output.name) for pattern, _ in overrides.patterns):
        return {}
    return {output.name: "Q6_K"} if output.shape[-1] % BLOCKS[scheme.tensor_type] else {}


def _check_pattern(pattern: str) -> None:
    """The engine reads ECMAScript expressions (std::regex); what follows is also what Python and ECMAScript share."""
    why = ""
    if not pattern:
        why = "It is empty."
    elif "\0" in pattern:
        why = "It holds a NUL character."
    elif re.search(r"\(\?(?![:=!])", pattern):
        why = "(?...) other than (?:...), (?=...) and (?!...) is not ECMAScript."
    else:
        try:
            with warnings.catch_warnings():
                # What Python only warns of, such as [[:alpha:]], means something else in ECMAScript.
                warnings.simplefilter("error")
                re.compile(pattern)
        except (re.error, Warning) as error:
            why = f"{error}."
    if why:
        raise UsageError(
            f"--tensor-type: {pattern!r} is no regular expression.", why, r"An example: --tensor-type 'ffn_down=q6_k'"
        )
