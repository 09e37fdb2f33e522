"""The echo backend as one module under another name, and the faults that are planted in it.

A table holds for each fault the changes of the source, the rule that must break, and words of its message. A rule that
ends in "*" does not break alone: the fault shows in others as well.
"""

from __future__ import annotations

import re
from pathlib import Path

ECHO = Path(__file__).parents[2] / "docs/examples/pajamas-echo/src/pajamas_echo"


def source(*changes: tuple[str, str]) -> str:
    """The backend "paper", which is echo, with each text replaced by another; every one must be there."""
    session = (ECHO / "session.py").read_text(encoding="utf-8")
    hooks = (ECHO / "hooks.py").read_text(encoding="utf-8").replace("from __future__ import annotations\n", "")
    hooks = re.sub(r"^from pajamas_echo\.session import .*$", "", hooks, flags=re.MULTILINE)
    text = (session + hooks).replace('"echo"', '"paper"').replace(".echo", ".paper")
    for old, new in changes:
        if old not in text:
            raise ValueError(f"echo does not say {old!r}")
        text = text.replace(old, new)
    return text


ANSWER = "        return self._answer(request, tokens, room if"
YIELD = "            yield Chunk(text=text.feed(piece(token)), token_ids=(token,), logprobs=logprobs)"
LAST = "        yield Chunk(text=text.finish(), finish_reason=finish_reason, usage=usage)"
BIAS = "score + sampling.logit_bias.get(token, 0.0)"
ROWS = "yield np.array([log_softmax(logits(token_ids[:end]))], np.float32)"
CHECK = "        self.refuse_unsupported(request)\n"
LIMIT = "room if request.max_tokens is None else min(room, request.max_tokens)"
STATE = "    def __init__(self, context_length: int) -> None:\n"
SAMPLED = "sample(scores, request.sampling, generator)\n"
DECLARED = "        Feature.STREAM, Feature.SEED,"


def more(*features):
    """A change that declares features besides."""
    return DECLARED, f"        {', '.join(f'Feature.{name}' for name in features)}, {DECLARED.strip()}"


GENERATING = {
    "everything computed at once": (
        (ANSWER, ANSWER.replace("return self._answer(", "return (c for c in list(self._answer(")),
        ("min(room, request.max_tokens))\n\n    def _answer", "min(room, request.max_tokens))))\n\n    def _answer"),
        "test_the_stream_is_lazy",
        "of the whole time",
    ),
    "a text lost": (
        (YIELD, YIELD.replace("text.feed(piece(token))", "text.feed(piece(token)) if token != 97 else ''")),
        "test_the_pieces_make_the_answer",
        "the tokens say",
    ),
    "bytes decoded one by one": (
        (
            YIELD,
            YIELD.replace(
                "text.feed(piece(token))", "(text.feed(piece(token)), piece(token).decode('utf-8', 'replace'))[1]"
            ),
        ),
        "test_characters_are_whole*",
        "replacement character",
    ),
    "no usage": ((LAST, LAST.replace(", usage=usage", "")), "test_only_the_last_chunk_ends_it", "usage None"),
    "a reason on every chunk": (
        (YIELD, YIELD.replace("logprobs=logprobs", "logprobs=logprobs, finish_reason='stop'")),
        "test_only_the_last_chunk_ends_it",
        "these end the answer",
    ),
    "the prompt counted wrong": (
        ("Usage(prompt_tokens=prompt_length,", "Usage(prompt_tokens=prompt_length - 1,"),
        "test_usage_counts_the_tokens*",
        "the tokens are",
    ),
    "seed ignored": (("random.Random(request.sampling.seed)", "random.Random()"), "test_a_seed_repeats", "seed 1"),
    "all seeds alike": (
        ("random.Random(request.sampling.seed)", "random.Random(7)"),
        "test_a_seed_repeats",
        "four seeds",
    ),
    "one token too many": (
        ("len(tokens) < prompt_length + limit", "len(tokens) <= prompt_length + limit"),
        "test_max_tokens_is_obeyed*",
        "max_tokens=1 the answer has 2",
    ),
    "cut and called stop": (
        ('finish_reason: FinishReason = "length"', 'finish_reason: FinishReason = "stop"'),
        "test_max_tokens_is_obeyed",
        "ends by 'stop'",
    ),
    "stop strings ignored": (
        ("StreamText(request.stop)", "StreamText(())"),
        "test_stop_strings_are_obeyed",
        "stop string",
    ),
    "held text lost": ((LAST, LAST.replace("text.finish()", "''")), "test_stop_strings_are_obeyed", "not said"),
    "stopped and called length": (
        ('            if text.stopped:\n                finish_reason = "stop"\n', "            if text.stopped:\n"),
        "test_stop_strings_are_obeyed",
        "(length)",
    ),
    "bias ignored": ((BIAS, "score"), "test_logit_bias_is_obeyed", "bias of -inf"),
    "a small bias": (
        (BIAS, "score + max(min(sampling.logit_bias.get(token, 0.0), 2.0), -2.0)"),
        "test_logit_bias_is_obeyed",
        "bias of -inf",
    ),
    "a long prompt cut": (
        ("        self._check_room(len(tokens) + 1)\n", "        tokens = tokens[-self.context_length + 1:]\n"),
        "test_a_prompt_that_is_too_long_is_refused",
        "is answered with",
    ),
    "no room left for an answer": (
        ("self._check_room(len(tokens) + 1)", "self._check_room(len(tokens))"),
        "test_a_prompt_that_is_too_long_is_refused",
        "no room for an answer",
    ),
    "overflow without numbers": (
        ('why = f"The context holds {self.context_length}."', 'why = ""'),
        "test_a_prompt_that_is_too_long_is_refused",
        "does not name",
    ),
    "another error for overflow": (
        ("raise ContextOverflow(", "raise UsageError("),
        "test_a_prompt_that_is_too_long_is_refused",
        "raises UsageError",
    ),
    "token ids ignored": (
        ("list(request.token_ids or ())", "self.tokenize('x' * 20)"),
        "test_token_ids_are_a_prompt_too*",
        "tokens get",
    ),
    "a byte dropped": (
        (
            '    return bytes([token]) if token < SEPARATOR else b""',
            '    return bytes([token]) if token < SEPARATOR and token != 240 else b""',
        ),
        "test_a_text_survives_its_tokens",
        "becomes",
    ),
    "a closed session that crashes": (
        (STATE, "    def close(self):\n        self.context_length = None\n\n" + STATE),
        "test_a_closed_session_says_so",
        "TypeError",
    ),
    "state left by a request": (
        (STATE, "    previous = current = ''\n\n" + STATE),
        (CHECK, CHECK + "        self.previous, self.current = self.current, request.prompt or ''\n"),
        (
            "sample(scores, request.sampling, generator)\n",
            "sample(scores, request.sampling, generator) if self.previous[:9] != 'Something' else 120\n",
        ),
        "test_temperature_0_repeats*",
        "then",
    ),
    "a stream that stays open": (
        (STATE, "    busy = False\n\n" + STATE),
        (CHECK, CHECK + "        if self.busy:\n            raise UsageError('in use')\n"),
        (
            "        text = StreamText(request.stop)\n",
            "        text = StreamText(request.stop)\n        self.busy = True\n",
        ),
        (LAST, "        self.busy = False\n" + LAST),
        "test_closing_early_frees_the_session*",
        "in use",
    ),
    "an end that says length": (
        (
            '            if token == END and not request.ignore_eos:\n                finish_reason = "stop"\n',
            "            if token == END and not request.ignore_eos:\n",
        ),
        "test_max_tokens_is_obeyed",
        "stop",
    ),
    "token ids tokenized again": (
        ("list(request.token_ids or ())", "self.tokenize(self.detokenize(list(request.token_ids or ())))"),
        "test_token_ids_are_a_prompt_too*",
        "token",
    ),
}
SCORING = {
    "not normalised": (
        (ROWS, ROWS.replace("log_softmax(logits(token_ids[:end]))", "logits(token_ids[:end])")),
        "test_rows_are_normalised*",
        "exp(",
    ),
    "shifted by one": (
        (ROWS, ROWS.replace("[:end]", "[:end - 1]")),
        "test_the_likeliest_tokens_are_what_is_generated*",
        "at position",
    ),
    "float64": ((ROWS, ROWS.replace("np.float32", "np.float64")), "test_rows_are_float32_blocks", "float64"),
    "first ignored": (("for end in range(first + 1,", "for end in range(1,"), "test_first_leaves_rows_out", "first=1"),
    "memory used again": (
        (
            "        for end in range(first + 1,",
            "        block = np.zeros((1, N_VOCAB), np.float32)\n        for end in range(first + 1,",
        ),
        (
            ROWS,
            ROWS.replace("yield np.array([", "block[0] = np.array(").replace(
                "], np.float32)", ")\n            yield block"
            ),
        ),
        "test_rows_are_float32_blocks*",
        "",
    ),
    "state between windows": (
        (STATE, "    seen = 0.0\n\n" + STATE),
        (
            ROWS,
            "self.seen += 0.01\n            "
            "yield np.array([log_softmax([x * (1 + self.seen % 1) for x in logits(token_ids[:end])])], np.float32)",
        ),
        "test_windows_are_independent*",
        "other rows",
    ),
    "out of range accepted": (
        ("        if not 0 <= first < len(token_ids):", "        if first < -1:"),
        "test_what_cannot_be_scored_is_refused",
        "first=",
    ),
    "logprobs after temperature": (
        ("token_logprob(log_softmax(scores), token,", "token_logprob(log_softmax([2 * x for x in scores]), token,"),
        "test_logprobs_agree_with_scores",
        "nats apart",
    ),
    "scores that ruin later answers": (
        (STATE, "    scored = False\n\n" + STATE),
        (
            "        return self._rows(token_ids, first)",
            "        self.scored = True\n        return self._rows(token_ids, first)",
        ),
        (SAMPLED, SAMPLED.replace("\n", " if not self.scored else 120\n")),
        "test_scoring_does_not_disturb_answers*",
        "answer",
    ),
}
THREADS = {
    "shared between threads": (
        (
            "        text = StreamText(request.stop)\n",
            "        self.tokens = tokens\n        text = StreamText(request.stop)\n",
        ),
        ("            scores = logits(tokens)", "            scores = logits(self.tokens)"),
        "test_threads_do_not_disturb_each_other",
        "beside 3 others",
    ),
    "not parallel, and shared": (
        ("        Feature.SCORE, Feature.PARALLEL,", "        Feature.SCORE,"),
        (
            "        text = StreamText(request.stop)\n",
            "        self.tokens = tokens\n        text = StreamText(request.stop)\n",
        ),
        ("            scores = logits(tokens)", "            scores = logits(self.tokens)"),
        "test_a_second_thread_waits_or_is_refused",
        "second thread",
    ),
}
