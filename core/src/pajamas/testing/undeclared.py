"""Every feature that is not declared is refused by its name: nothing is ignored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve

from pajamas.errors import Unsupported
from pajamas.features import Feature
from pajamas.testing.asking import read, request
from pajamas.testing.group import Group, require

if TYPE_CHECKING:
    from pajamas.backend import Backend
    from pajamas.types import Artifact, BackendInfo, Session

ASKED: dict[Feature, dict[str, Any]] = {
    Feature.SEED: {"seed": 1},
    Feature.TOP_K: {"top_k": 5},
    Feature.MIN_P: {"min_p": 0.1},
    Feature.TYPICAL_P: {"typical_p": 0.9},
    Feature.REPETITION_PENALTY: {"repetition_penalty": 1.1},
    Feature.PRESENCE_PENALTY: {"presence_penalty": 0.5},
    Feature.FREQUENCY_PENALTY: {"frequency_penalty": 0.5},
    Feature.LOGIT_BIAS: {"logit_bias": {1: -1.0}},
    Feature.IGNORE_EOS: {"ignore_eos": True},
    Feature.LOGPROBS: {"logprobs": 1},
    Feature.JSON_SCHEMA: {"json_schema": {"type": "object"}},
    Feature.GRAMMAR: {"grammar": 'root ::= "yes"'},
    Feature.EXACT: {"exact": True},
}
"""A request's options that need each feature. Tools and thinking are core's to refuse: it renders them."""

LOADED: dict[Feature, dict[str, Any]] = {
    Feature.KV_TYPE: {"kv_type": "q8_0"},
    Feature.COMPUTE_DTYPE: {"compute_dtype": "float32"},
    Feature.GPU_LAYERS: {"gpu_layers": 1},
    Feature.EMBEDDINGS: {"embeddings": True},
    Feature.DISTRIBUTED: {"tensor_parallel": 2},
}
"""Load options that need each feature."""


class Undeclared(Group):
    """What is not declared, refused."""

    def test_undeclared_options_are_refused(self, session: Session) -> None:
        """A session refuses each option whose feature it does not offer with `UnsupportedFeature`."""
        for feature in sorted(set(ASKED) - session.features):
            asked = request(self.prompt, **{"max_tokens": 1, **ASKED[feature]})
            _refused(
                lambda asked=asked: read(session.generate(asked)),  # type: ignore[misc]  # mypy infers no default
                feature,
                "Call self.refuse_unsupported(request) first in `generate` (pajamas.session.BaseSession).",
            )

    def test_undeclared_methods_are_refused(self, session: Session, tmp_path: Path) -> None:
        """`score`, `embed` and the prompt cache raise `UnsupportedFeature` in a session that does not offer them."""
        file = tmp_path / "cache"
        calls: list[tuple[Feature, Callable[[], object]]] = [
            (Feature.SCORE, lambda: list(session.score(session.tokenize(self.prompt)))),
            (Feature.EMBEDDINGS, lambda: session.embed(["a"])),
            (Feature.PROMPT_CACHE, lambda: session.save_prompt_cache(file)),
            (Feature.PROMPT_CACHE, lambda: session.load_prompt_cache(file)),
        ]
        for feature, call in calls:
            if feature not in session.features:
                _refused(call, feature, "Inherit pajamas.session.BaseSession, which refuses it.")
        require(not file.exists(), "The prompt cache is refused, and leaves a file.", "Refuse before it is written.")

    def test_undeclared_load_options_are_refused(
        self, registered: Backend, info: BackendInfo, artifact: Artifact, session: Session
    ) -> None:
        """`load` refuses each option whose feature is not declared."""
        for feature in sorted(set(LOADED) - info.features):
            options = evolve(self.load_options, **LOADED[feature])
            _refused(
                lambda options=options: registered.load(artifact, options).close(),  # type: ignore[misc]  # as above
                feature,
                "Call refuse_missing(NAME, load_features(options), FEATURES) in `load` (pajamas.needs).",
            )


def _refused(call: Callable[[], object], feature: Feature, mend: str) -> None:
    try:
        call()
    except Unsupported:
        return
    except Exception as error:  # whatever it is, it is not the error for this
        seen = f"It raises {type(error).__name__}: {error}"
        require(False, f"{feature} is not declared. {seen}", f"Raise UnsupportedFeature. {mend}")
    require(False, f"{feature} is not declared, and accepted.", mend)
