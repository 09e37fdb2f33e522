"""What a person should know of an artifact, and what its receipt says of how it was made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from pajamas.types import QuantizeJob, TensorInfo
from pajamas_mlx.quantize.corpus import CALIBRATION, Corpus
from pajamas_mlx.quantize.recipe import Recipe
from pajamas_mlx.quantize.task import Result

_LISTED = 3


def of(
    job: QuantizeJob, recipe: Recipe, corpus: Corpus | None, result: Result, tensors: Sequence[TensorInfo]
) -> tuple[str, ...]:
    return tuple((*_fallen(tensors), *_raised(job, recipe, corpus, result)))


def _fallen(tensors: Sequence[TensorInfo]) -> Iterator[str]:
    """One line for each pair of wanted and used type."""
    fallen = sorted((tensor for tensor in tensors if tensor.wanted), key=lambda t: (t.wanted or "", t.type))
    for (wanted, used), group in groupby(fallen, key=lambda tensor: (tensor.wanted, tensor.type)):
        members = list(group)
        names = ", ".join(tensor.name for tensor in members[:_LISTED])
        more = f" and {len(members) - _LISTED} more" if len(members) > _LISTED else ""
        widths = ", ".join(str(width) for width in sorted({tensor.shape[-1] for tensor in members}))
        yield f"{len(members)} tensors cannot be {wanted} (their width is {widths}) and are {used}: {names}{more}."


def _raised(job: QuantizeJob, recipe: Recipe, corpus: Corpus | None, result: Result) -> Iterator[str]:
    if recipe.target_bpw is None:
        return
    recipe_bpw = 8 * result.size / result.parameters
    if result.bound is None:
        yield (
            f"No layer is raised: the recipe alone takes {recipe_bpw:.2f} bits per weight, and the target is "
            f"{recipe.target_bpw:g}."
        )
        return
    if job.dry_run:
        yield (
            f"Its size is the most that it may be: which layers are raised, up to {recipe.target_bpw:g} bits per "
            f"weight, is measured when it is made. The recipe alone takes {result.size:,} bytes."
        )
    else:
        counts = {bits: list(result.raised.values()).count(bits) for bits in sorted(set(result.raised.values()))}
        raised = ", ".join(f"{count} to {bits} bits" for bits, count in counts.items())
        yield (
            f"{len(result.raised)} layers with the largest errors are raised: {raised}."
            if raised
            else "No layer is raised."
        )
    if corpus is None:
        yield (
            f"The layers' errors are the weights' own: the model brings no {CALIBRATION} along. "
            "--calibration-text FILE weighs them by what the model does."
        )


def details(recipe: Recipe, corpus: Corpus | None, result: Result) -> Mapping[str, Any]:
    """For the receipt."""
    scheme = recipe.scheme
    quantization: dict[str, Any] = {}
    if scheme.bits is not None:
        quantization = {"bits": scheme.bits, "group_size": recipe.group_size, "mode": scheme.mode}
        if scheme.recipe is not None:
            quantization["recipe"] = scheme.recipe
        if recipe.embedding_bits is not None:
            quantization["embedding_bits"] = recipe.embedding_bits
        if recipe.target_bpw is not None:
            quantization["target_bpw"] = recipe.target_bpw
    calibration = {"calibration": {**corpus.record, "tokens": result.tokens}} if corpus and result.tokens else {}
    return {
        "engine": {"name": "MLX", **result.versions},
        "dtype": result.dtype,
        **({"quantization": quantization} if quantization else {}),
        **({"raised": result.raised} if result.raised else {}),
        **calibration,
        **({"next_recipe": recipe.next} if recipe.next else {}),
    }
