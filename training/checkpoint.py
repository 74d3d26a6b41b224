"""Checkpoints of long trainings: one safetensors file from which a training can resume."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from blackbox_am.errors import StoreCorrupt
from training.files import temporary_name

States = Mapping[str, Mapping[str, Tensor]]


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The moments and counters of an Adam optimizer as one flat dict of tensors."""
    moments = optimizer.state_dict()["state"]
    return {f"{i}/{key}": value for i, kept in moments.items() for key, value in kept.items()}


def set_optimizer_state(optimizer: torch.optim.Optimizer, flat: Mapping[str, Tensor]) -> None:
    """Load what :func:`optimizer_state` returned into an optimizer of the same parameters."""
    content = optimizer.state_dict()
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in flat.items():
        index, key = name.split("/")
        moments.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict(content | {"state": moments})


def write_checkpoint(path: Path, states: States, numbers: Mapping[str, float]) -> None:
    """Write named states in full precision, and numbers such as seconds spent, atomically."""
    temporary = temporary_name(path, ".tmp")
    flat = {
        f"{owner}|{name}": value.detach().cpu().contiguous().clone()
        for owner, state in states.items()
        for name, value in state.items()
    }
    save_file(flat, temporary, metadata={key: repr(float(n)) for key, n in numbers.items()})
    temporary.replace(path)


def read_checkpoint(path: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, float]] | None:
    """Read what :func:`write_checkpoint` wrote, or ``None`` if there is no such file.

    Raises:
        StoreCorrupt: The file is damaged.
    """
    if not path.is_file():
        return None
    states: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(path, framework="pt") as stored:
            numbers = {key: float(text) for key, text in (stored.metadata() or {}).items()}
            for full in stored.keys():  # noqa: SIM118 - not a dict
                owner, _, name = full.partition("|")
                states.setdefault(owner, {})[name] = stored.get_tensor(full)
    except (SafetensorError, OSError, ValueError) as error:
        raise StoreCorrupt(
            f"Checkpoint {path} is damaged ({error}); delete it, or start without --resume."
        ) from error
    return states, numbers
