"""Commands that errors suggest can be pasted into a shell, whatever a model's folder is called."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

import pajamas
from pajamas.errors import PajamasError

TINY = Path(__file__).parents[1] / "plugins/tiny/src/pajamas_tiny/model"


@pytest.mark.parametrize(("name", "suggested"), [
    ("{}", ["--formats", "gguf"]), ("{}:q8_0", ["--precision", "q8_0"]),
])  # fmt: skip
def test_a_folder_with_a_space_is_quoted(tmp_path, name, suggested):
    folder = tmp_path / "my models"
    shutil.copytree(TINY, folder)

    with pytest.raises(PajamasError) as caught:
        pajamas.Runtime(name.format(folder), "gguf")

    command = shlex.split(caught.value.fix)
    assert command[:6] == ["pajamas", "convert", "--model", str(folder), *suggested]
