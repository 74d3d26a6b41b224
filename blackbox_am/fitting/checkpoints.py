"""Checkpoints of a training: one safetensors file from which it continues."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from blackbox_am.errors import StoreCorrupt

FILE = "checkpoint.safetensors"

States = dict[str, dict[str, torch.Tensor]]


def write(folder: Path, states: Mapping[str, Mapping[str, torch.Tensor]], facts: Any) -> None:
    """Writes named states, and facts as JSON; a reader never finds an incomplete file."""
    flat = {
        f"{owner}|{name}": value.detach().cpu().contiguous().clone()
        for owner, state in states.items()
        for name, value in state.items()
    }
    unfinished = folder / f"{FILE}.unfinished"
    save_file(flat, unfinished, metadata={"facts": json.dumps(facts)})
    unfinished.replace(folder / FILE)


def read(folder: Path) -> tuple[States, Any] | None:
    """What `write` wrote; None if there is no file.

    Raises:
        StoreCorrupt: if the file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    states: States = {}
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["facts"])
            for full in file.keys():  # noqa: SIM118  # no dict
                owner, _, name = full.partition("|")
                states.setdefault(owner, {})[name] = file.get_tensor(full)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise StoreCorrupt(
            f"{path} is damaged ({error}); delete it, and the training starts again"
        ) from error
    return states, facts


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Moments and counters of an Adam optimizer as one flat dict."""
    moments = optimizer.state_dict()["state"]
    return {f"{i}/{key}": value for i, kept in moments.items() for key, value in kept.items()}


def set_optimizer_state(optimizer: torch.optim.Optimizer, flat: Mapping[str, torch.Tensor]) -> None:
    """Loads what `optimizer_state` returned into an optimizer of the same parameters."""
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in flat.items():
        index, key = name.split("/")
        moments.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})
