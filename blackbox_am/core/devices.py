"""The device of a computation, from what a person writes."""

from __future__ import annotations

import torch

from blackbox_am.errors import InvalidSpec, Unsupported

WORDS = "expected auto, cpu, cuda, or one device of several such as cuda:1"


def resolve_device(device: str | torch.device) -> str:
    """The name of a device that exists here.

    Args:
        device: `auto` (CUDA if available, else the CPU), `gpu` (CUDA), or the name of a device in
            torch such as `cpu`, `cuda` or `cuda:1`.

    Raises:
        InvalidSpec: for a text that names no device.
        Unsupported: for a device that does not exist here; the error says what exists.
    """
    if not isinstance(device, (str, torch.device)):
        raise InvalidSpec(f"device: {WORDS}, got {device!r}", field="device")
    name = str(device).strip().lower()
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device("cuda" if name == "gpu" else name)
    except RuntimeError as error:
        raise InvalidSpec(f"device: {WORDS}, got {device!r}", field="device") from error
    if found.type == "cpu":
        return str(found)
    if found.type != "cuda":
        raise InvalidSpec(f"device: {WORDS}, got {device!r}", field="device")
    missing = _missing(found)
    if missing:
        raise Unsupported(f"device {device!r}: {missing}", field="device")
    return str(found)


def _missing(device: torch.device) -> str:
    """Why a CUDA device cannot be used; empty if it can."""
    if torch.version.cuda is None and torch.version.hip is None:
        return (
            f"this build of PyTorch ({torch.__version__}) computes on the CPU only; install a "
            "build with CUDA, or use cpu"
        )
    if not torch.cuda.is_available():
        return "PyTorch finds no CUDA device on this machine; use cpu"
    count = torch.cuda.device_count()
    if device.index is not None and device.index >= count:
        names = ", ".join(f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(count))
        return f"this machine has {names}"
    return ""
