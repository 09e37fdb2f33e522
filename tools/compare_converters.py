"""Hold pajamas' converter against llama.cpp's own, on the random models of plugins/gguf/tests/random_model_configs.py.

    python tools/compare_converters.py LLAMA_CPP_TREE PYTHON [--outtype T] [--models M ...] [--folder F ...] [--goldens]

LLAMA_CPP_TREE holds convert_hf_to_gguf.py, PYTHON has torch, transformers and gguf. llama.cpp's converter knows
tokenizers by the hash of what they do, and the bundled one is not among them, so for the random models everything but
`tokenizer.*` is compared; for real folders (--folder) that too. --goldens writes what llama.cpp's converter made of
the random models to plugins/gguf/tests/converter_goldens.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "plugins/gguf/tests"
sys.path.insert(0, str(TESTS))

ORACLE = """
import sys
from pathlib import Path
tree, outtype, with_vocab, *pairs = sys.argv[1:]
sys.path.insert(0, tree)
sys.path.insert(1, tree + "/gguf-py")
import gguf, torch
from conversion import ModelBase, ModelType, get_model_architecture, get_model_class
types = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "bf16": "MOSTLY_BF16", "auto": "GUESSED"}
for folder, output in zip(pairs[::2], pairs[1::2]):
    folder = Path(folder)
    cls = get_model_class(get_model_architecture(ModelBase.load_hparams(folder, False), ModelType.TEXT))
    if with_vocab == "0":
        cls.set_vocab = lambda self: None
    with torch.inference_mode():
        cls(folder, gguf.LlamaFileType[types[outtype]], Path(output)).write()
"""


def golden_text(goldens: dict[str, Any]) -> str:
    """One line for each key and tensor, so that a change can be read."""
    note = "Made by llama.cpp's own converter from the random models, with tools/compare_converters.py --goldens"
    models = []
    for name, facts in goldens.items():
        parts = []
        for part, items in facts.items():
            lines = ",\n".join(f"   {json.dumps(key)}: {json.dumps(value)}" for key, value in items.items())
            parts.append(f"  {json.dumps(part)}: {{\n{lines}\n  }}")
        models.append(f" {json.dumps(name)}: {{\n" + ",\n".join(parts) + "\n }")
    return f'{{\n "note": {json.dumps(note)},\n' + ",\n".join(models) + "\n}\n"


def main() -> int:
    from gguf_facts import differences, gguf_facts
    from random_model_configs import MODELS
    from random_models import convert_folder, make_model

    parser = argparse.ArgumentParser()
    parser.add_argument("tree", type=Path)
    parser.add_argument("python")
    parser.add_argument("--outtype", choices=("f32", "f16", "bf16", "auto"), default="auto")
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--folder", nargs="*", type=Path, default=[])
    parser.add_argument("--goldens", action="store_true")
    options = parser.parse_args()
    goldens, failed = {}, 0
    with tempfile.TemporaryDirectory() as scratch:
        parent = Path(scratch)
        random = [make_model(name, parent / "models") for name in options.models] if not options.folder else []
        for folders, with_vocab in ((random, "0"), (options.folder, "1")):
            if not folders:
                continue
            pairs = [str(x) for folder in folders for x in (folder, parent / f"{folder.name}.theirs.gguf")]
            command = [options.python, "-c", ORACLE, str(options.tree), options.outtype, with_vocab, *pairs]
            run = subprocess.run(command, capture_output=True, text=True, check=False)
            if run.returncode:
                print(run.stderr[-3000:])
                return 1
            for folder in folders:
                output = parent / f"{folder.name}.ours.gguf"
                convert_folder(folder, output, options.outtype)
                ours, theirs = (
                    gguf_facts(path, tokenizer=with_vocab == "1")
                    for path in (output, parent / f"{folder.name}.theirs.gguf")
                )
                if with_vocab == "0":
                    goldens[folder.name] = theirs
                found = differences(ours, theirs)
                failed += bool(found)
                print(f"{folder.name}: {len(theirs['tensors'])} tensors, {len(theirs['metadata'])} keys:", end=" ")
                print("equal" if not found else "\n  " + "\n  ".join(found))
    if options.goldens:
        (TESTS / "converter_goldens.json").write_text(golden_text(goldens), encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
