"""Whether the engine computes on this machine: tried in a child process, as `python -m pajamas_mlx.probe`."""

from __future__ import annotations

from typing import Any

from pajamas.errors import PajamasError
from pajamas_mlx import child, engine

_TIMEOUT = 60.0


def failure(device: str) -> str | None:
    """Why MLX does not compute on `device`, in one line; None if it does.

    Raises:
        EngineError: the child process cannot be started.
    """
    found = child.ask("pajamas_mlx.probe", {"device": device}, _TIMEOUT)
    why = found.get("died") or found.get("failed")
    return None if why is None else f"MLX does not compute on {device}: {why}"


def _try(request: dict[str, Any]) -> dict[str, Any]:
    """In the child: import everything that is used, and multiply by quantized weights, whose product is known."""

    def work() -> float:
        mx = engine.engine().mx
        weights = mx.quantize(mx.ones((64, 64)), group_size=32, bits=4)
        product = mx.quantized_matmul(mx.ones((2, 64)), *weights, transpose=True, group_size=32, bits=4)
        return float(mx.abs(product - 64.0).max().item())

    try:
        wrong = engine.compute(request["device"], work)
    except PajamasError as error:
        return {"failed": f"{error.what} {error.why}"}
    return {} if wrong < 1e-3 else {"failed": "it computes wrong numbers"}


if __name__ == "__main__":
    child.answer(_try)
