"""The child process of `upstream`: `python -m ... ROOT FOLDER OUTPUT OUTTYPE` runs llama.cpp's converter from ROOT."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

_FILE_TYPES = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "bf16": "MOSTLY_BF16", "auto": "GUESSED"}


def main(root: str, folder: str, output: str, outtype: str) -> int:
    """0, or 3 for an architecture that the converter does not know; anything else raises."""
    sys.path.insert(0, root)
    if (Path(root) / "gguf-py").is_dir():
        sys.path.insert(0, str(Path(root) / "gguf-py"))  # a source tree wants its own gguf, which may be newer
    # By name: these exist only where the extra is installed.
    conversion, gguf, torch = import_module("conversion"), import_module("gguf"), import_module("torch")
    model = Path(folder)
    kind = conversion.ModelType.TEXT
    config = conversion.ModelBase.load_hparams(model, False)
    architecture = conversion.get_model_architecture(config, kind)
    try:
        converter = conversion.get_model_class(architecture)
    except NotImplementedError as error:
        print(f"{architecture}: {error}", file=sys.stderr)  # noqa: T201 - stderr is what the parent reads
        return 3
    with torch.inference_mode():
        converter(model, gguf.LlamaFileType[_FILE_TYPES[outtype]], Path(output)).write()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
