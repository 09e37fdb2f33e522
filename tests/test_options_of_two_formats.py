"""The options of a conversion to two formats: each takes what it has a use for, and all are checked first."""

from __future__ import annotations

import pytest

import pajamas
from pajamas.errors import UsageError


def test_an_option_goes_to_the_format_that_has_a_use_for_it(tmp_path):
    result = pajamas.run(
        "convert", model="tiny", output=tmp_path / "out", formats="gguf,mlx", profile="hq", calibration_samples=40,
        dry_run=True,
    )  # fmt: skip

    notes = {artifact.format: " ".join(artifact.notes) for artifact in result.artifacts}
    assert "--calibration-samples has no effect on 8bit" in notes["mlx"]
    assert "no effect" not in notes["gguf"]


@pytest.mark.parametrize("option", [{"mixed_precision": True}, {"target_bpw": 3.0}])
def test_what_one_format_refuses_is_refused_before_the_other_is_made(tmp_path, option):
    with pytest.raises(UsageError, match=r"--mixed-precision|--target-bpw"):
        pajamas.run(
            "convert", model="tiny", output=tmp_path / "out", formats="gguf,mlx", precision="q6_k:8bit", **option
        )

    assert not (tmp_path / "out").exists()
