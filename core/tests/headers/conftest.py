"""Writers of files that have real headers and no data: sparse, so that an 8B model takes no space."""

import json
import struct
from pathlib import Path

import pytest

from pajamas.gguf_header import GGML_TYPES
from pajamas.safetensors_header import DTYPE_BITS

SHARED = Path(__file__).parents[3] / ".." / "shared" / "data"


@pytest.fixture
def shared():
    if not SHARED.is_dir():
        pytest.skip("../shared/data is not here")
    return SHARED


@pytest.fixture
def write_model():
    """Write config.json and sparse safetensors files into a folder."""
    return _write_model


@pytest.fixture
def gguf():
    """Build the bytes of a GGUF file's header, padded and with room for its tensors."""
    return GGUF


def _size(dtype, shape):
    count = 1
    for dimension in shape:
        count *= dimension
    return count * DTYPE_BITS[dtype] // 8


def _write_safetensors(path, tensors):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, (dtype, shape) in tensors.items():
        end = offset + _size(dtype, shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    encoded = json.dumps(header).encode()
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", len(encoded)) + encoded)
        stream.truncate(8 + len(encoded) + offset)


def _write_model(folder, config, tensors, shards=1):
    folder.mkdir(parents=True, exist_ok=True)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    if shards == 1:
        _write_safetensors(folder / "model.safetensors", tensors)
        return folder
    names = list(tensors)
    weight_map = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        mine = names[shard::shards]
        _write_safetensors(folder / file, {name: tensors[name] for name in mine})
        weight_map.update(dict.fromkeys(mine, file))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder


class GGUF:
    """A writer of its own, so that it can write what no sound writer would."""

    def __init__(self, version=3, alignment=32):
        self.version = version
        self.alignment = alignment
        self.keys = []
        self.tensors = []
        self.data = 0

    @staticmethod
    def text(value):
        encoded = value if isinstance(value, bytes) else value.encode()
        return struct.pack("<Q", len(encoded)) + encoded

    def raw(self, key, kind, payload):
        self.keys.append(self.text(key) + struct.pack("<I", kind) + payload)
        return self

    def set(self, key, value):
        if isinstance(value, bool):
            return self.raw(key, 7, struct.pack("<?", value))
        if isinstance(value, int):
            return self.raw(key, 4, struct.pack("<I", value))
        if isinstance(value, float):
            return self.raw(key, 6, struct.pack("<f", value))
        if isinstance(value, str):
            return self.raw(key, 8, self.text(value))
        strings = bool(value) and isinstance(value[0], str)
        items = b"".join(self.text(item) if strings else struct.pack("<I", item) for item in value)
        return self.raw(key, 9, struct.pack("<IQ", 8 if strings else 4, len(value)) + items)

    def tensor(self, name, shape, kind=0):
        """`shape` in row-major order, `kind` a number of GGML_TYPES."""
        _, block, block_size = GGML_TYPES[kind]
        count = 1
        for dimension in shape:
            count *= dimension
        info = self.text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape))
        self.tensors.append(info + struct.pack("<IQ", kind, self.data))
        self.data += -(-(count // block * block_size) // self.alignment) * self.alignment
        return self

    def header(self):
        counts = struct.pack("<4sIQQ", b"GGUF", self.version, len(self.tensors), len(self.keys))
        return counts + b"".join(self.keys) + b"".join(self.tensors)

    def write(self, path):
        header = self.header()
        with path.open("wb") as stream:
            stream.write(header)
            stream.truncate(-(-len(header) // self.alignment) * self.alignment + self.data)
        return path
