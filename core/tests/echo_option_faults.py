"""Faults of echo's files, features and refusals: a table as in `echo_faults`."""

from __future__ import annotations

from echo_faults import CHECK, STATE, more

QUANTIZING = {
    "overwrites": (
        ("    if path.exists() and not force:", "    if False:"),
        "test_an_existing_target_is_not_touched",
        "gone or changed",
    ),
    "a wrong size": (("size=len(data)", "size=len(data) + 1"), "test_the_size_is_as_announced", "announces"),
    "a dry run that writes": (
        ("    if not job.dry_run:\n", "    if True:\n"),
        "test_the_size_is_as_announced",
        "leaves",
    ),
    "an unknown scheme": (
        ("    if job.scheme not in INDENTS:", "    if False:"),
        ("indent=INDENTS[job.scheme]", "indent=None"),
        "test_an_unknown_scheme_is_refused",
        "goes on",
    ),
    "a declared scheme that fails": (
        ("schemes=tuple(INDENTS)", 'schemes=(*INDENTS, "huge")'),
        "test_every_declared_scheme_is_taken",
        "huge",
    ),
    "written under its own name": (
        (
            "        part.write_bytes(data)\n        part.replace(path)",
            "        path.write_bytes(data[:9])\n        __import__('time').sleep(1)\n        path.write_bytes(data)",
        ),
        "test_a_killed_run_leaves_nothing",
        "under the final name",
    ),
}
FEATURES = {
    "top-k ignored": (("[: sampling.top_k or None]", ""), "test_top_k", "top_k=1"),
    "min-p declared": (more("MIN_P"), "test_min_p", "min_p=1"),
    "ignore-eos ignored": (
        ("if token == END and not request.ignore_eos:", "if token == END:"),
        "test_ignore_eos",
        "goes on|ends by itself",
    ),
    "too few alternatives": (
        ("reverse=True)[:count]\n    return TokenLogprob", "reverse=True)[: count // 2]\n    return TokenLogprob"),
        "test_logprobs",
        "alternatives",
    ),
    "json-schema declared": (more("JSON_SCHEMA"), "test_json_schema", "The answer is"),
    "grammar declared": (more("GRAMMAR"), "test_grammar", "The answer is"),
    "a penalty declared": (more("PRESENCE_PENALTY"), "test_penalties[presence-penalty-2.0]", "same as without"),
    "options accepted": ((CHECK, ""), "test_undeclared_options_are_refused", "and accepted"),
    "load options accepted": (
        ('    refuse_missing("paper", load_features(options), FEATURES)\n', ""),
        "test_undeclared_load_options_are_refused",
        "and accepted",
    ),
    "a method that returns nothing": (
        (STATE, "    def embed(self, texts):\n        return None\n\n" + STATE),
        "test_undeclared_methods_are_refused",
        "and accepted",
    ),
}
