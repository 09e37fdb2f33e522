"""Load options that need a feature: each works where it is declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from pajamas.errors import PajamasError
from pajamas.features import Feature
from pajamas.testing.asking import Told, ask
from pajamas.testing.features import fails, needs
from pajamas.testing.group import Group, require

if TYPE_CHECKING:
    from pajamas.backend import Backend
    from pajamas.types import Artifact, BackendInfo, Session


class LoadFeatures(Group):
    """Declared load options, exercised."""

    def test_kv_type(self, registered: Backend, info: BackendInfo, artifact: Artifact, session: Session) -> None:
        """Where `kv-type` is declared, some type loads and answers, and one that does not exist is refused."""
        needs(info.features, Feature.KV_TYPE)
        told: list[Told] = []
        for kind in ("q8_0", "f16", "fp8", "8"):
            try:
                made = registered.load(artifact, evolve(self.load_options, kv_type=kind))
            except PajamasError:
                continue
            told.append(ask(made, self.prompt, max_tokens=4))
            made.close()
        require(any(one.tokens for one in told), "None of q8_0, f16, fp8, 8 works.", "Do not declare kv-type.")
        fails(
            lambda: registered.load(artifact, evolve(self.load_options, kv_type="q99")),
            "The type q99",
            "Raise UsageError, naming those that there are.",
        )

    def test_compute_dtype(self, registered: Backend, info: BackendInfo, artifact: Artifact, session: Session) -> None:
        """Where `compute-dtype` is declared, float32 loads and answers, and a type that does not exist is refused."""
        needs(info.features, Feature.COMPUTE_DTYPE)
        made = registered.load(artifact, evolve(self.load_options, compute_dtype="float32"))
        try:
            told = ask(made, self.prompt, max_tokens=4)
        finally:
            made.close()
        require(told.tokens, "In float32 nothing is answered.", "Cast what the computation needs.")
        fails(
            lambda: registered.load(artifact, evolve(self.load_options, compute_dtype="float99")),
            "The type float99",
            "Raise UsageError, naming those that there are.",
        )

    def test_gpu_layers(self, registered: Backend, info: BackendInfo, artifact: Artifact, session: Session) -> None:
        """Where `gpu-layers` is declared, a session with one layer there answers as one with none."""
        needs(info.features, Feature.GPU_LAYERS)
        told = []
        for layers in (0, 1):
            made = registered.load(artifact, evolve(self.load_options, gpu_layers=layers))
            told.append(ask(made, self.prompt, max_tokens=2).tokens)
            made.close()
        require(told[0] and told[0][:1] == told[1][:1], f"The answers are {told}.", "Compare the layers' results.")

    def test_distributed(self, registered: Backend, info: BackendInfo, artifact: Artifact, session: Session) -> None:
        """Where `distributed` is declared, what makes no sense is refused: no device, and an unknown starter."""
        needs(info.features, Feature.DISTRIBUTED)
        for options in ({"tensor_parallel": 0}, {"pipeline_parallel": -1}, {"distributed": "no-such"}):
            words = ", ".join(f"{name}={value!r}" for name, value in options.items())
            fails(
                lambda options=options: registered.load(artifact, evolve(self.load_options, **options)),  # type: ignore[misc]  # mypy infers no default
                f"A session with {words}",
                "Raise UsageError, naming the option.",
            )
