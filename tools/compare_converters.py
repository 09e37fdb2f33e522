"""Hold pajamas' converter against llama.cpp's own, on the random models of plugins/gguf/tests/random_models.py.

    python tools/compare_converters.py LLAMA_CPP_TREE PYTHON [--outtype T] [--models M ...] [--folder F ...] [--goldens]

LLAMA_CPP_TREE holds convert_hf_to_gguf.py, PYTHON has torch, transformers and gguf. llama.cpp's converter knows
tokenizers by the hash of what they do, and the bundled one is not among them, so for the random models everything but
`tokenizer.*` is compared; for real folders (--folder) that too. --goldens writes what llama.cpp's converter made of
the random models to plugins/gguf/tests/converter_goldens.json.
"""

from __future__ import annotations

import argparse
import hashlib
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


def facts(path: Path) -> dict[str, Any]:
    """What a GGUF file says: keys in order with values, tensors in order with type, shape and digest."""
    from pajamas.gguf_header import read_header
    from pajamas.modelfiles import LocalFiles

    header = read_header(LocalFiles(path), path.name)
    with path.open("rb") as stream:
        tensors = {}
        for tensor in header.tensors:
            stream.seek(tensor.offset)
            digest = hashlib.sha256(stream.read(tensor.size)).hexdigest()
            tensors[tensor.name] = [tensor.type, list(tensor.shape), digest]
    metadata = {key: list(value) if isinstance(value, tuple) else value for key, value in header.metadata.items()}
    return {"metadata": metadata, "tensors": tensors, "types": key_types(path)}


def key_types(path: Path) -> dict[str, str]:
    """The GGUF type of every key, which decides whether an engine accepts it."""
    import gguf

    fields = gguf.GGUFReader(path).fields.values()
    return {field.name: "/".join(t.name for t in field.types) for field in fields if not field.name.startswith("GGUF.")}


def without_tokenizer(found: dict[str, Any]) -> dict[str, Any]:
    kept = {part: dict(found[part]) for part in found}
    for part in ("metadata", "types"):
        kept[part] = {key: value for key, value in kept[part].items() if not key.startswith("tokenizer.")}
    return kept


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    found = []
    for part in ("metadata", "types", "tensors"):
        mine, other = ours[part], theirs[part]
        for key in mine.keys() | other.keys():
            if mine.get(key) != other.get(key):
                found.append(f"{part} {key}: ours {str(mine.get(key))[:120]}, llama.cpp {str(other.get(key))[:120]}")
        if not found and list(mine) != list(other):
            found.append(f"{part}: another order: {list(mine)} instead of {list(other)}"[:2000])
    return sorted(found)


def main() -> int:
    from pajamas.modelfiles import LocalFiles
    from pajamas.source import Source
    from pajamas_gguf.convert.converter import convert
    from random_models import MODELS, make_model

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
                source = Source(text=str(folder), kind="folder", path=folder)
                convert(LocalFiles(folder), source, output, name=folder.name, outtype=options.outtype)
                ours, theirs = facts(output), facts(parent / f"{folder.name}.theirs.gguf")
                if with_vocab == "0":
                    ours, theirs = without_tokenizer(ours), without_tokenizer(theirs)
                    goldens[folder.name] = theirs
                found = differences(ours, theirs)
                failed += bool(found)
                print(f"{folder.name}: {len(theirs['tensors'])} tensors, {len(theirs['metadata'])} keys:", end=" ")
                print("equal" if not found else "\n  " + "\n  ".join(found))
    if options.goldens:
        text = json.dumps(goldens, indent=1, sort_keys=False)
        (TESTS / "converter_goldens.json").write_text(text + "\n", encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
