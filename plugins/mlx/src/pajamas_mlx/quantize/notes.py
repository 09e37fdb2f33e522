"""What a person should know of an artifact, and what its receipt says of how it was made."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from pajamas.calibration import CALIBRATION, Corpus
from pajamas.types import QuantizeJob, TensorInfo
from pajamas_mlx.quantize.corpus import GENERAL
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
        limit = f", and --target-bpw is {recipe.target_bpw:g}" if recipe.named_target else " already"
        yield f"No layer is raised: the recipe alone takes {recipe_bpw:.2f} bits per weight{limit}."
        return
    if job.dry_run:
        yield (
            f"Its size is the most that it may be: which layers are raised, up to {recipe.target_bpw:g} bits per "
            f"weight, is measured when it is made. The recipe alone takes {result.size:,} bytes."
        )
    else:
        yield listed(result.raised)
        yield from _estimated(job, recipe, result)
    if corpus is not None and corpus.name == GENERAL:
        yield (
            f"Measured on a text of pajamas' own: the model brings no {CALIBRATION} along. --calibration-text FILE "
            "measures on another."
        )


def listed(raised: Mapping[str, int]) -> str:
    """Which layers are raised to how many bits, those of a kind together."""
    if not raised:
        return "No layer is raised."
    kinds: dict[tuple[int, str], list[str]] = {}
    for path, bits in raised.items():
        parts = path.split(".")
        number = next((part for part in parts if part.isdigit()), None)
        kind = path if number is None else ".".join(parts[parts.index(number) + 1 :])
        kinds.setdefault((bits, kind), []).extend([] if number is None else [number])
    by_bits: dict[int, list[str]] = {}
    for (bits, kind), numbers in sorted(kinds.items()):
        by_bits.setdefault(bits, []).append(f"{kind} of {_ranges(numbers)}" if numbers else kind)
    which = "; ".join(f"to {bits} bits {', '.join(members)}" for bits, members in by_bits.items())
    layers = "layer with the largest error is" if len(raised) == 1 else "layers with the largest errors are"
    return f"{len(raised)} {layers} raised: {which}."


def _ranges(numbers: Sequence[str]) -> str:
    """Of the blocks: 0-3 5 7-9."""
    found: list[list[int]] = []
    for number in sorted(map(int, numbers)):
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    return " ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in found)


def _estimated(job: QuantizeJob, recipe: Recipe, result: Result) -> Iterator[str]:
    if (job.max_increase, job.max_divergence) == (None, None):
        return
    if result.enough is None:
        yield "How far it is from the original could not be estimated: --validate measures that."
        return
    limits = [f"{job.max_increase:g} % of perplexity"] if job.max_increase is not None else []
    limits += [f"{job.max_divergence:g} of mean KL divergence"] if job.max_divergence is not None else []
    accepted = " and ".join(limits)
    probes = "; ".join(
        f"at {probe['bits_per_weight']:.2f} bits per weight {probe['divergence']:.3g} ± "
        f"{probe['divergence_error']:.1g} and {probe['increase']:+.2g} ± {probe['increase_error']:.1g} %"
        for probe in sorted(result.probes, key=lambda probe: float(probe["bits_per_weight"]))
    )
    yield (
        f"Estimated mean KL divergence and perplexity, on {result.probe_tokens:,} tokens of the calibration text, "
        f"which is not the one that judges: {probes}."
    )
    if result.enough:
        yield f"So few bits are enough by that estimate to stay below {accepted}."
    else:
        better = f" The next recipe is --precision {recipe.next}." if recipe.next else ""
        yield (
            f"By that estimate {recipe.target_bpw:g} bits per weight are too few to stay surely below {accepted}: try "
            f"a larger --target-bpw.{better}"
        )


def details(job: QuantizeJob, recipe: Recipe, corpus: Corpus | None, result: Result) -> Mapping[str, Any]:
    """For the receipt."""
    scheme = recipe.scheme
    quantization: dict[str, Any] = {}
    if scheme.bits is not None:
        quantization = {"bits": scheme.bits, "group_size": recipe.group_size, "mode": scheme.mode}
        if scheme.recipe is not None:
            quantization["recipe"] = scheme.recipe
        if recipe.embedding_bits is not None:
            quantization["embedding_bits"] = recipe.embedding_bits
        if recipe.target_bpw is not None and (recipe.named_target or result.bound is not None):
            quantization["target_bpw"] = recipe.target_bpw
    calibration = {"calibration": {**corpus.record, "tokens": result.tokens}} if corpus and result.tokens else {}
    limits = {"max_increase": job.max_increase, "max_divergence": job.max_divergence}
    # JSON knows no infinity.
    probes = [{key: value if math.isfinite(value) else None for key, value in probe.items()} for probe in result.probes]
    estimate = {"enough": result.enough, **limits, "tokens": result.probe_tokens, "probes": probes}
    return {
        "engine": {"name": "MLX", **result.versions},
        "dtype": result.dtype,
        **({"quantization": quantization} if quantization else {}),
        **({"raised": result.raised} if result.raised else {}),
        **calibration,
        **({"estimate": estimate} if result.enough is not None else {}),
        **({"next_recipe": recipe.next} if recipe.next else {}),
    }
