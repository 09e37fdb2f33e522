"""What a quantized file says of its importance matrix: the metadata keys that llama.cpp's own quantizer writes.

Source: main of llama.cpp's tools/quantize/quantize.cpp, as of llama-cpp-python 0.3.36. That writes the matrix's path;
here it is the name alone, so that the same work makes the same file in any folder.
"""

from __future__ import annotations

_LONGEST = 127  # bytes: llama_model_kv_override::val_str with its NUL


def matrix_keys(file: str, dataset: str | None, entries: int, chunks: int) -> tuple[tuple[str, str | int], ...]:
    """Keys and values; `dataset` and `chunks` are left out where the matrix does not tell them (None, 0)."""
    keys: list[tuple[str, str | int]] = [("quantize.imatrix.file", _cut(file))]
    if dataset is not None:
        keys.append(("quantize.imatrix.dataset", _cut(dataset)))
    keys.append(("quantize.imatrix.entries_count", entries))
    if chunks > 0:
        keys.append(("quantize.imatrix.chunks_count", chunks))
    return tuple(keys)


def _cut(text: str) -> str:
    data = text.partition("\0")[0].encode("utf-8", "replace")
    return data[:_LONGEST].decode("utf-8", "ignore")
