"""From precision strings and profiles to schemes."""

from __future__ import annotations

import pytest

from pajamas.errors import UnsupportedFeature, UsageError
from pajamas.profiles import read_formats, resolve_targets
from pajamas.types import BackendInfo

GGUF = BackendInfo(
    name="gguf", engine="none", engine_version=None, formats=("gguf",), schemes=("Q4_K_M", "Q4_0"),
    features=frozenset(), scheme_aliases={"Q4_K": "Q4_K_M"},
    refused_schemes={"IQ1_S": "An importance matrix is needed."},
)  # fmt: skip
PAPER = BackendInfo(
    name="press", engine="none", engine_version=None, formats=("paper",), schemes=("Thin", "thick"),
    features=frozenset(), profile_schemes={"paper": {"balanced": "thick", "ultra": "Thin"}},
)  # fmt: skip


def plain(targets):
    return [(t.format, t.scheme, t.profile.name if t.profile else None, t.aggressive) for t in targets]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"formats": ["gguf"]}, [("gguf", "Q4_K_M", "balanced", False)]),
        ({"formats": ["gguf"], "profile": "hq"}, [("gguf", "Q6_K", "hq", False)]),
        ({"formats": ["gguf"], "aggressive": True}, [("gguf", "Q3_K_M", "ultra", False)]),
        ({"formats": ["gguf"], "precision": "q4_k_m", "aggressive": True}, [("gguf", "Q4_K_M", "balanced", False)]),
        ({"formats": ["gguf"], "precision": "q5_k_m"}, [("gguf", "Q5_K_M", None, False)]),
        ({"formats": ["gguf"], "precision": "q4_k_m", "profile": "hq"}, [("gguf", "Q4_K_M", "hq", False)]),
        ({"formats": ["gguf"], "profile": "ultra", "aggressive": True}, [("gguf", "Q3_K_M", "ultra", False)]),
        (
            {"formats": ["gguf"], "precision": "q4_k", "backends": {"gguf": GGUF}},
            [("gguf", "Q4_K_M", "balanced", False)],
        ),
        (
            {"formats": ["gguf", "mlx"], "precision": "q4_k_m:4bit"},
            [("gguf", "Q4_K_M", "balanced", False), ("mlx", "4bit", "balanced", False)],
        ),
        ({"formats": ["mlx"], "precision": "4bit", "aggressive": True}, [("mlx", "4bit", "ultra", True)]),
        ({"formats": ["mlx"], "precision": "4bit", "profile": "ultra"}, [("mlx", "4bit", "ultra", True)]),
        ({"formats": ["mlx"], "precision": "6bit", "profile": "ultra"}, [("mlx", "6bit", "ultra", False)]),
        ({"formats": ["mlx"], "precision": "4bit", "profile": "hq"}, [("mlx", "4bit", "hq", False)]),
        ({"formats": ["mlx"], "profile": "ultra"}, [("mlx", "4bit", "ultra", True)]),
        ({"formats": ["mlx"], "precision": "8BIT"}, [("mlx", "8bit", "hq", False)]),
        ({"formats": ["paper"], "backends": {"paper": PAPER}}, [("paper", "thick", "balanced", False)]),
        ({"formats": ["paper"], "aggressive": True, "backends": {"paper": PAPER}}, [("paper", "Thin", "ultra", False)]),
        (
            {"formats": ["paper"], "precision": "THIN", "backends": {"paper": PAPER}},
            [("paper", "Thin", "ultra", False)],
        ),
    ],
)
def test_targets(arguments, expected):
    assert plain(resolve_targets(**arguments)) == expected


@pytest.mark.parametrize(
    "arguments",
    [
        {"formats": []},
        {"formats": ["gguf", "gguf"]},
        {"formats": ["gguf"], "precision": "q4_k_m:4bit"},
        {"formats": ["gguf", "mlx"], "precision": "q4_k_m"},
        {"formats": ["gguf"], "precision": ""},
        {"formats": ["gguf"], "profile": "fast"},
        {"formats": ["vellum"]},
        {"formats": ["paper"], "profile": "hq", "backends": {"paper": PAPER}},
        {"formats": ["gguf"], "precision": "q9", "backends": {"gguf": GGUF}},
        {"formats": ["gguf"], "profile": "balanced", "aggressive": True},
        {"formats": ["mlx"], "profile": "hq", "precision": "4bit", "aggressive": True},
    ],
)
def test_what_makes_no_sense_is_refused(arguments):
    with pytest.raises(UsageError):
        resolve_targets(**arguments)


def test_a_contradiction_names_both_options():
    with pytest.raises(UsageError, match="--aggressive and --profile balanced"):
        resolve_targets(["mlx"], profile="balanced", aggressive=True)


@pytest.mark.parametrize("formats", ["gguf,mlx", " gguf , mlx,", ["gguf", "mlx"], ("gguf", "mlx")])
def test_formats_are_a_text_or_a_sequence(formats):
    assert read_formats(formats) == ["gguf", "mlx"]


def test_an_unknown_scheme_is_refused_and_near_ones_are_named():
    with pytest.raises(UsageError, match="'gguf' has no scheme 'q4_k_n'") as caught:
        resolve_targets(["gguf"], "q4_k_n", backends={"gguf": GGUF})

    assert caught.value.fix == "Did you mean Q4_K_M or Q4_0?"


def test_a_scheme_that_the_backend_cannot_make_says_why():
    with pytest.raises(UnsupportedFeature, match="cannot make IQ1_S") as caught:
        resolve_targets(["gguf"], "iq1_s", backends={"gguf": GGUF})

    assert "importance matrix" in caught.value.why
