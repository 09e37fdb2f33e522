"""One of the models that are measured: what it is, its process, and what was found so far."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from attrs import asdict, evolve

from pajamas import manifest
from pajamas.errors import ContextOverflow, UnsupportedFeature
from pajamas.keywords import load_options
from pajamas.modelfiles import LocalFiles
from pajamas.needs import load_features
from pajamas.operations.detecting import detect, weight_sizes
from pajamas.operations.loading import check_device, select
from pajamas.plugins import PluginHost
from pajamas.progress import NO_PROGRESS, Progress
from pajamas.types import Architecture, Feature
from pajamas_bench import ceiling, figures
from pajamas_bench.cases import Case
from pajamas_bench.messages import Load, Loaded, Run
from pajamas_bench.metrics import LOAD, PEAK_MEMORY
from pajamas_bench.process import MeasuringProcess
from pajamas_bench.results import CandidateResult, Machine

_BLOCK = 256
"""Tokens."""
_USUAL_CONTEXT = 8192
"""Tokens that backends take at most where no length is asked for."""


class Candidate:
    """A model that was found, and the backend that was chosen for it. Nothing is loaded before `reload`.

    Args:
        model: as `Runtime`'s path.
        backend: as `Runtime`'s.
        options: fields of `LoadOptions`; context and sequences are set as the cases need them.

    Raises:
        UsageError: an option makes no sense.
        UnsupportedFeature: a context is longer than the model's.
        PajamasError: what `operations.loading.select` raises.
    """

    def __init__(
        self,
        host: PluginHost,
        model: str | Path | None,
        backend: str | None,
        options: Mapping[str, Any],
        cases: tuple[Case, ...],
        progress: Progress = NO_PROGRESS,
    ) -> None:
        given = load_options(options)
        check_device(backend, given)
        self.selection = select(model, backend, load_features(given), progress=progress, host=host)
        files = LocalFiles(self.selection.artifact.path)
        self.architecture = detect(host, files)
        self.cases = cases
        contexts = [case.context for case in cases if case.context]
        rooms = contexts + [room for case in cases if (room := _most_tokens(case)) > _USUAL_CONTEXT]
        together = [case.concurrency for case in cases if case.concurrency]
        if self.selection.choice.device:
            given = evolve(given, device=self.selection.choice.device)
        if rooms and given.context_length is None:
            given = evolve(given, context_length=_room(max(rooms), self.architecture))
        if together and given.max_sequences is None and Feature.PARALLEL in self.selection.choice.info.features:
            given = evolve(given, max_sequences=max(together))
        self.options = given
        self.size = self.selection.artifact.size or sum(weight_sizes(files).values())
        found = manifest.find_receipt(self.selection.artifact.path)
        self.scheme = self.selection.artifact.scheme or (found[1].scheme if found else None)
        if self.scheme is None and self.selection.artifact.format == "gguf":
            self.scheme = self.architecture.dtype  # a GGUF file's states its scheme
        stem = manifest.read(found[0]).name if found else self.selection.artifact.path.stem
        self.name = f"{stem} {self.scheme or ''}".strip()
        self.model = str(model) if model is not None else self.name
        _check_contexts(contexts, self.architecture, self.model)
        self.process: MeasuringProcess | None = None
        self.loaded: Loaded | None = None
        self.loads: list[float] = []
        self.runs: dict[Case, list[Run]] = {case: [] for case in cases}
        self.peaks: list[int] = []

    @property
    def device(self) -> str:
        """Where the layers run: as asked for, else the best that the backend has."""
        if self.options.device:
            return self.options.device
        return "cpu" if self.options.gpu_layers == 0 else next(iter(self.selection.choice.info.devices), "cpu")

    def reload(self) -> float:
        """Load in a fresh process, in place of the one before; how many seconds `load` took."""
        self.close()
        self.process = MeasuringProcess()
        choice = self.selection.choice
        self.loaded = self.process.load(
            Load(backend=choice.backend.name, artifact=self.selection.artifact, options=self.options)
        )
        self._check_room(self.loaded)
        return self.loaded.seconds

    def run(self, case: Case, *, warm_up: bool = False) -> Run:
        assert self.process is not None
        return self.process.run(case, warm_up=warm_up)

    def note_peak(self) -> None:
        assert self.process is not None
        self.peaks.append(self.process.peak_memory())

    def close(self) -> None:
        if self.process is not None:
            self.process.close()
            self.process = None

    def leave(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """As a context manager's `__exit__`: what computes still when the program is interrupted is not waited for."""
        if self.process is not None:
            self.process.__exit__(kind, error, trace)

    def result(self, machine: Machine) -> CandidateResult:
        """Everything that was found, as figures."""
        loaded, choice = self.loaded, self.selection.choice
        assert loaded is not None
        weights = ceiling.weights_per_token(self.size, loaded.architecture)
        cells = loaded.context_length * (self.options.max_sequences or 1)
        kv = ceiling.kv_per_token(loaded.memory, cells, loaded.architecture)
        bandwidth = ceiling.usable_bandwidth(machine.bandwidth_one, machine.bandwidth_all, self.options.threads)

        def limit(case: Case, run: Run) -> float | None:
            if self.device != "cpu":
                return None  # it was the processor's memory that was measured
            first = run.answers[0]
            depth = first.prompt_tokens + len(first.token_ids) / 2  # the mean over the answer
            return ceiling.ceiling(bandwidth, weights, kv, depth, self._together(case))

        return CandidateResult(
            model=self.model,
            name=self.name,
            path=self.selection.artifact.path,
            format=self.selection.artifact.format,
            scheme=self.scheme,
            size=self.size,
            backend=choice.backend.name,
            engine=choice.info.engine,
            engine_version=choice.info.engine_version,
            device=self.device,
            options=asdict(self.options, filter=lambda field, value: value != field.default),
            context_length=loaded.context_length,
            memory=loaded.memory,
            load=figures.figure(LOAD.name, self.loads),
            peak_memory=figures.figure(PEAK_MEMORY.name, self.peaks),
            weights_per_token=weights,
            kv_per_token=kv,
            cases=tuple(
                figures.case_result(
                    case,
                    runs,
                    queued=(case.concurrency or 1) > self._together(case),
                    ceiling=limit(case, runs[0]),
                )
                for case, runs in self.runs.items()
            ),
        )

    def _together(self, case: Case) -> int:
        """How many requests of the case are computed at once."""
        asked = case.concurrency or 1
        if self.loaded is None or Feature.PARALLEL not in self.loaded.features:
            return 1
        return min(asked, self.options.max_sequences or asked)

    def _check_room(self, loaded: Loaded) -> None:
        """A backend that does not say how long its model's context is may have given less than was asked for."""
        for case in self.cases:
            if case.context and case.context > loaded.context_length:
                raise ContextOverflow(
                    f"A context of {case.context:,} tokens is too long for {self.model}.",
                    f"It was loaded with {loaded.context_length:,}.",
                    "Name shorter ones by --context-lengths.",
                )


def _longest(architecture: Architecture) -> int | None:
    """Tokens of the longest context that the model takes; None where nothing says."""
    return max((architecture.extended_context_length or 0, architecture.context_length or 0)) or None


def _most_tokens(case: Case) -> int:
    """Of a prompt that is a text, and its answer: no token is shorter than a byte, and the template takes some."""
    return len((case.prompt or "").encode()) + _BLOCK + case.answer_tokens


def _room(context: int, architecture: Architecture) -> int:
    """In whole blocks, as engines allocate: so what a token of the cache takes can be told from all that it takes."""
    blocks = -(-context // _BLOCK) * _BLOCK
    return min(blocks, _longest(architecture) or blocks)


def _check_contexts(contexts: list[int], architecture: Architecture, model: str) -> None:
    longest = _longest(architecture)
    for context in contexts:
        if longest and context > longest:
            raise UnsupportedFeature(
                f"A context of {context:,} tokens is too long for {model}.",
                f"The model takes {longest:,} at most.",
                "Name shorter ones by --context-lengths.",
            )
