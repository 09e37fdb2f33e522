"""Every feature that is declared works."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from pajamas.errors import PajamasError, UnsupportedFeature
from pajamas.features import Feature
from pajamas.testing.asking import ask, read, request
from pajamas.testing.group import UNDECLARED, Group, require

if TYPE_CHECKING:
    from pajamas.backend import Backend
    from pajamas.types import Artifact, BackendInfo, Session

EXERCISED = {
    Feature.STREAM: "test_the_stream_is_lazy",
    Feature.SEED: "test_a_seed_repeats",
    Feature.TOP_K: "test_top_k",
    Feature.MIN_P: "test_min_p",
    Feature.TYPICAL_P: "test_typical_p",
    Feature.REPETITION_PENALTY: "test_penalties",
    Feature.PRESENCE_PENALTY: "test_penalties",
    Feature.FREQUENCY_PENALTY: "test_penalties",
    Feature.LOGIT_BIAS: "test_logit_bias_is_obeyed",
    Feature.IGNORE_EOS: "test_ignore_eos",
    Feature.LOGPROBS: "test_logprobs",
    Feature.JSON_SCHEMA: "test_json_schema",
    Feature.GRAMMAR: "test_grammar",
    Feature.TOOLS: "test_tools_and_thinking",
    Feature.THINKING: "test_tools_and_thinking",
    Feature.SCORE: "test_rows_are_normalised",
    Feature.PARALLEL: "test_threads_do_not_disturb_each_other",
    Feature.EXACT: "test_threads_do_not_disturb_each_other",
    Feature.EMBEDDINGS: "test_embeddings",
    Feature.PROMPT_CACHE: "test_prompt_cache",
    Feature.KV_TYPE: "test_kv_type",
    Feature.COMPUTE_DTYPE: "test_compute_dtype",
    Feature.GPU_LAYERS: "test_gpu_layers",
    Feature.DISTRIBUTED: "test_distributed",
}
"""Each feature, and the test that shows that it works where it is declared."""

SCHEMA = {
    "type": "object", "required": ["ok", "kind"], "additionalProperties": False,
    "properties": {"ok": {"type": "boolean"}, "kind": {"enum": ["duck", "boat"]}},
}  # fmt: skip
HOT = {"temperature": 2.0, "max_tokens": 24}


class Features(Group):
    """What is declared, exercised."""

    def test_top_k(self, session: Session) -> None:
        """With top_k=1 the answer is the greedy one, however hot it is sampled."""
        needs(session.features, Feature.TOP_K)
        _as_greedy(self, session, top_k=1)

    def test_min_p(self, session: Session) -> None:
        """With min_p=1 the answer is the greedy one, however hot it is sampled."""
        needs(session.features, Feature.MIN_P)
        _as_greedy(self, session, min_p=1.0)

    def test_typical_p(self, session: Session) -> None:
        """With a typical_p near 0 one token is left to choose from: however hot, the answer repeats."""
        needs(session.features, Feature.TYPICAL_P)
        first, second = (ask(session, self.prompt, typical_p=1e-6, **HOT).tokens for _ in range(2))
        require(
            first and first == second,
            "Two answers differ.",
            "Keep the smallest set of typical tokens that reaches typical_p, and at least one.",
        )

    @pytest.mark.parametrize(
        ("feature", "value"),
        [(Feature.REPETITION_PENALTY, 5.0), (Feature.PRESENCE_PENALTY, 2.0), (Feature.FREQUENCY_PENALTY, 2.0)],
    )
    def test_penalties(self, session: Session, feature: Feature, value: float) -> None:
        """A strong penalty makes the answer another, and less repetitive."""
        needs(session.features, feature)
        name = feature.value.replace("-", "_")
        prompts = (self.prompt, f"{self.prompt} {self.prompt}", "one two one two one two one")
        told = [(ask(session, prompt), ask(session, prompt, **{name: value})) for prompt in prompts]
        require(
            any(without.tokens != with_it.tokens for without, with_it in told),
            f"With {name}={value} the answers are the same as without.",
            "Apply penalties to the logits before anything is sampled, at temperature 0 too.",
        )
        before, after = (sum(len(set(pair[place].tokens)) for pair in told) for place in (0, 1))
        lengths = [sum(len(pair[place].tokens) for pair in told) for place in (0, 1)]
        require(
            after / max(lengths[1], 1) >= before / max(lengths[0], 1),
            f"With {name}={value} {after} of {lengths[1]} tokens are distinct, without it {before} of {lengths[0]}.",
            "A penalty makes tokens that are there already less likely, not more.",
        )

    def test_ignore_eos(self, session: Session) -> None:
        """With ignore_eos the answer goes on to `max_tokens`, where the model would have ended it."""
        needs(session.features, Feature.IGNORE_EOS)
        natural = ask(session, self.prompt, max_tokens=min(400, session.context_length // 2))
        most = len(natural.tokens) + 5
        told = ask(session, self.prompt, max_tokens=most, ignore_eos=True)
        require(
            len(told.tokens) == most and told.reason == "length",
            f"The answer ends by itself after {len(natural.tokens)} tokens, and with ignore_eos after "
            f"{len(told.tokens)} of {most}, by {told.reason!r}.",
            "Forbid the tokens that end an answer, or go on past them.",
        )

    def test_logprobs(self, session: Session) -> None:
        """Every token has its log-probability, and as many alternatives as were asked for, the likeliest first."""
        needs(session.features, Feature.LOGPROBS)
        for count in (0, 3):
            told = ask(session, self.prompt, logprobs=count)
            entries = [entry for chunk in told.chunks for entry in chunk.logprobs]
            require(
                tuple(entry.token_id for entry in entries) == told.tokens,
                f"{len(told.tokens)} tokens have {len(entries)} entries, or others.",
                "Give each chunk one TokenLogprob for each of its token ids.",
            )
            for entry in entries:
                values = [other.logprob for other in entry.top]
                require(
                    len(values) == count and values == sorted(values, reverse=True) and entry.logprob <= 1e-4,
                    f"With logprobs={count} token {entry.token_id} has {entry.logprob:.4f}, and alternatives {values}.",
                    "`top` holds exactly that many, the likeliest first; log-probabilities are not above 0.",
                )
                require(
                    not values or abs(values[0] - entry.logprob) < 0.05,
                    f"At temperature 0 the token {entry.token_id} has {entry.logprob:.4f}, and the best {values[:1]}.",
                    "Both come from one distribution: the model's own, before any sampling option.",
                )

    def test_json_schema(self, session: Session) -> None:
        """An answer with a JSON schema is JSON that obeys it, however hot it is sampled."""
        needs(session.features, Feature.JSON_SCHEMA)
        for options in ({}, HOT):
            told = ask(session, self.prompt, **{**options, "json_schema": SCHEMA, "max_tokens": 200})
            try:
                value = json.loads(told.text)
            except ValueError:
                value = None
            good = isinstance(value, dict) and set(value) == {"ok", "kind"}
            require(
                good and isinstance(value["ok"], bool) and value["kind"] in ("duck", "boat"),
                f"The answer is {told.text!r} ({told.reason}).",
                "Mask at each token what the schema does not allow, and end when it is complete.",
            )

    def test_grammar(self, session: Session) -> None:
        """An answer with a grammar is a text of it, however hot it is sampled; a wrong grammar is refused."""
        needs(session.features, Feature.GRAMMAR)
        for options in ({}, HOT):
            told = ask(session, self.prompt, **{**options, "grammar": 'root ::= "quack" | "moo" " moo"'})
            require(
                told.text in ("quack", "moo moo"),
                f"The answer is {told.text!r} ({told.reason}).",
                "Mask at each token what the grammar does not allow, and end when it is complete.",
            )
        fails(
            lambda: ask(session, self.prompt, grammar='root ::= ("never closed"'),
            "A wrong grammar",
            "Check it before anything is computed, and raise UsageError.",
        )

    @pytest.mark.parametrize("feature", [Feature.TOOLS, Feature.THINKING])
    def test_tools_and_thinking(self, session: Session, feature: Feature) -> None:
        """Where they are declared, tools and thinking mode reach the prompt through the session's chat template."""
        from pajamas.operations.generation import prepare

        needs(session.features, feature)
        if session.chat_template is None:
            pytest.skip("the model has no chat template")
        tool = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
        message = {"messages": ({"role": "user", "content": "Hello"},)}
        options: dict[str, Any] = {"tools": (tool,)} if feature is Feature.TOOLS else {"mode": "thinking"}
        asked = request(None, **message, **options)
        try:
            prompt = prepare(session, asked)[0].prompt or ""
        except UnsupportedFeature as error:
            pytest.skip(f"the model's template knows no {feature}: {error.what}")
        require(
            feature is Feature.THINKING or "get_weather" in prompt,
            f"The prompt does not name the tool: {prompt!r}",
            "Return the model's own chat template, whole.",
        )
        require(read(session.generate(request(prompt, max_tokens=4))).tokens, "It is not answered.", "")

    def test_embeddings(self, registered: Backend, info: BackendInfo, artifact: Artifact, session: Session) -> None:
        """Embeddings are unit vectors, float32 [texts, size]; equal texts have equal ones, others others."""
        needs(info.features, Feature.EMBEDDINGS)
        import numpy as np

        embedding = registered.load(artifact, evolve(self.load_options, embeddings=True))
        try:
            vectors = embedding.embed(["a little duck", "the stock market", "a little duck"])
        finally:
            embedding.close()
        require(
            isinstance(vectors, np.ndarray) and vectors.dtype == np.float32 and vectors.ndim == 2 and len(vectors) == 3,
            f"Three texts give {getattr(vectors, 'dtype', type(vectors))} {getattr(vectors, 'shape', '')}.",
            "Return one row a text, float32.",
        )
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
        require(
            bool(np.allclose(lengths, 1.0, atol=1e-3)),
            f"The vectors have the lengths {lengths.round(4).tolist()}.",
            "Divide each by its length.",
        )
        near, far = float(vectors[0] @ vectors[2]), float(vectors[0] @ vectors[1])
        require(
            near > 0.999 and far < near - 1e-3,
            f"Equal texts have the cosine {near:.4f}, different ones {far:.4f}.",
            "Pool over the text's own tokens, and begin every text anew.",
        )

    def test_prompt_cache(self, registered: Backend, artifact: Artifact, session: Session, tmp_path: Path) -> None:
        """A saved prompt cache, loaded by another session, saves it that work and changes no answer."""
        needs(session.features, Feature.PROMPT_CACHE)
        file = tmp_path / "cache"
        before = ask(session, self.prompt, exact=False)
        session.save_prompt_cache(file)
        other = registered.load(artifact, self.load_options)
        try:
            restored = other.load_prompt_cache(file)
            told = ask(other, self.prompt, exact=False)
        finally:
            other.close()
        usage = told.chunks[-1].usage
        require(
            restored > 0 and usage is not None and usage.cached_tokens > 0,
            f"{restored} tokens are restored, and then {usage.cached_tokens if usage else 0} not computed again.",
            "Restore the key/value cache, and count in usage.cached_tokens what was not computed.",
        )
        require(
            told.tokens == before.tokens,
            f"Without the cache the answer is {before.text!r}, with it {told.text!r}.",
            "Restore the tokens with their positions, and compute the rest of the prompt.",
        )
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        fails(lambda: session.load_prompt_cache(file), "A cache that is cut off", "Check its size and digest.")


def needs(declared: Collection[Feature], feature: Feature) -> None:
    """Skips the test of a feature that is not declared."""
    if feature not in declared:
        pytest.skip(UNDECLARED)


def _as_greedy(cls: Group, session: Session, **options: Any) -> None:
    greedy = ask(session, cls.prompt, max_tokens=HOT["max_tokens"])
    told = ask(session, cls.prompt, **HOT, **options)
    free = ask(session, cls.prompt, **HOT)
    words = ", ".join(f"{name}={value}" for name, value in options.items())
    require(
        told.tokens == greedy.tokens,
        f"At temperature {HOT['temperature']} with {words} the answer is {told.text!r}, and the greedy one "
        f"{greedy.text!r}; without it {free.text!r}.",
        "Leave out of the candidates what the option leaves out, before one is drawn.",
    )


def fails(call: Callable[[], object], what: str, mend: str) -> None:
    """The call raises an error of the tree; `what` begins the message otherwise."""
    try:
        call()
    except PajamasError:
        return
    except Exception as error:  # whatever it is, it is not the error for this
        require(False, f"{what} raises {type(error).__name__}: {error}", mend)
    require(False, f"{what} is accepted.", mend)
