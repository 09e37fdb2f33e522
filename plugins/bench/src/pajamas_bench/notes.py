"""What a reader must know of the figures."""

from __future__ import annotations

from pajamas_bench.results import BenchmarkResult, CandidateResult

_PRESSED = 0.1


def notes(result: BenchmarkResult, before: BenchmarkResult | None) -> tuple[str, ...]:
    """A sentence each; `before` is the baseline from a file."""
    found = []
    machine = result.machine
    if machine.pressure is not None and machine.pressure > _PRESSED:
        found.append(
            f"Threads waited for a processor in {100 * machine.pressure:.0f} % of the time: other work ran, or more "
            "threads than processors."
        )
    if result.repeat == 1:
        found.append("Measured once: the noise is not known.")
    for backend in dict.fromkeys(one.backend for one in result.candidates if any(case.queued for case in one.cases)):
        found.append(
            f"Backend {backend} was sent more requests at once than it computes together: the others wait in a queue, "
            "and their time to first token includes that."
        )
    for candidate in result.candidates:
        found += _of_candidate(candidate)
    if before is not None:
        there, here = before.machine, result.machine
        if (there.processor, there.processors) != (here.processor, here.processors):
            found.append(f"The baseline is of another machine: {there.processor}, {there.processors} processors.")
        old, new = before.candidates[0], result.candidates[0]
        if (old.name, old.size) != (new.name, new.size):
            found.append(f"The baseline is of another model: {old.name}, {old.size:,} bytes.")
        if (old.engine, old.engine_version) != (new.engine, new.engine_version):
            found.append(f"The baseline is of another engine: {old.engine} {old.engine_version or ''}".strip() + ".")
        if (old.backend, old.options) != (new.backend, new.options):
            found.append(f"The baseline was loaded otherwise: {old.backend}, {_options(old)}.")
        missing = [case.name for case in new.cases if old.case(case.key) is None]
        if missing:
            found.append(
                f"The baseline has no {', '.join(map(repr, missing))} with the same prompt and as many tokens."
            )
    return tuple(found)


def _of_candidate(candidate: CandidateResult) -> list[str]:
    found = []
    name = candidate.name
    full = [case.name for case in candidate.cases if case.context_full]
    if full:
        found.append(
            f"{name}: its context of {candidate.context_length:,} tokens was full before answers had their length: "
            f"{', '.join(map(repr, full))}."
        )
    short = [case.name for case in candidate.cases if case.generated < case.answer_tokens and not case.context_full]
    if short:
        found.append(f"{name}: the model ended answers before their length: {', '.join(map(repr, short))}.")
    if candidate.device != "cpu":
        found.append(f"{name}: no ceiling is given, for its layers run on {candidate.device}, whose memory is its own.")
    if any((case.of_ceiling or 0) > 1 for case in candidate.cases):
        found.append(f"{name}: above its ceiling, for its weights may stay in the processor's cache.")
    return found


def _options(candidate: CandidateResult) -> str:
    return ", ".join(f"{name} {value}" for name, value in candidate.options.items()) or "no options"
