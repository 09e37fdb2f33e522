"""The devices that the engine's build can use on this machine."""

from __future__ import annotations

import ctypes
from typing import Any

from attrs import frozen

from pajamas.errors import DeviceNotFound
from pajamas_gguf import engine

WORDS = ("cuda", "metal", "cpu")
_CPU, _GPU, _INTEGRATED_GPU = 0, 1, 2
_REGISTRIES = {"cuda": ("cuda",), "metal": ("metal", "mtl")}


@frozen
class Device:
    """One device as ggml lists it: `handle` is a `ggml_backend_dev_t`, good for this process."""

    handle: int
    name: str
    registry: str
    gpu: bool

    @property
    def word(self) -> str | None:
        """What people call it: "cuda", "metal" or "cpu"; None for others, such as Vulkan's."""
        if not self.gpu:
            return "cpu"
        return next((word for word, names in _REGISTRIES.items() if self.registry.lower() in names), None)


def find_devices() -> tuple[Device, ...]:
    """CPU and GPUs, as ggml orders them. Accelerators without memory of their own (BLAS) are left out."""
    handle = ctypes.c_void_p
    device_type = engine.symbol("ggml_backend_dev_type", [handle], ctypes.c_int)
    name = engine.symbol("ggml_backend_dev_name", [handle], ctypes.c_char_p)
    registry = engine.symbol("ggml_backend_dev_backend_reg", [handle], handle)
    registry_name = engine.symbol("ggml_backend_reg_name", [handle], ctypes.c_char_p)
    get = engine.symbol("ggml_backend_dev_get", [ctypes.c_size_t], handle)
    found = []
    for index in range(engine.symbol("ggml_backend_dev_count", [], ctypes.c_size_t)()):
        device = get(index)
        kind = device_type(device)
        if kind in (_CPU, _GPU, _INTEGRATED_GPU):
            found.append(
                Device(device, name(device).decode(), registry_name(registry(device)).decode(), gpu=kind != _CPU)
            )
    return tuple(found)


def words(devices: tuple[Device, ...]) -> tuple[str, ...]:
    """The device words that work here, best first."""
    found = {device.word for device in devices}
    return tuple(word for word in WORDS if word in found)


def chosen(word: str | None, devices: tuple[Device, ...]) -> tuple[Device, ...]:
    """The GPUs that the model's layers may use: all for None, none for "cpu", else those of that kind.

    Raises:
        DeviceNotFound: there is no such device, or the engine's build does not know it.
    """
    gpus = tuple(device for device in devices if device.gpu)
    if word is None:
        return gpus
    if word not in WORDS:
        raise DeviceNotFound(f"There is no device {word!r}.", "", f"Choose one of {', '.join(WORDS)}.")
    matching = tuple(device for device in gpus if device.word == word)
    if word != "cpu" and not matching:
        here = ", ".join(device.name for device in devices)
        raise DeviceNotFound(
            f"There is no {word} device here.",
            f"This build of llama.cpp sees only {here}.",
            f"Install {engine.DISTRIBUTION} built for {word}, or leave out the device.",
        )
    return matching


def device_list(devices: tuple[Device, ...]) -> Any:
    """As `llama_model_params.devices` wants it: handles, ended by NULL. Keep it while the model is loaded."""
    return (ctypes.c_void_p * (len(devices) + 1))(*(device.handle for device in devices), None)
