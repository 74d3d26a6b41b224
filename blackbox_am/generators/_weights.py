"""Weights that a user brings, read into a network of ours."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from blackbox_am.errors import InvalidSpec, NotFound

MOST_SHOWN = 4


def read_state(path: str, cure: str) -> dict[str, torch.Tensor]:
    """The tensors in a .safetensors file, or in one of torch.save that holds nothing else.

    Args:
        path: of the file.
        cure: what to do where there is none, as the end of a message.

    Raises:
        NotFound: where there is no such file.
        InvalidSpec: where it is another file, or holds code.
    """
    if not Path(path).is_file():
        raise NotFound(f"weights: there is no file {path!r}; {cure}", field="weights")
    try:
        if path.endswith(".safetensors"):
            from safetensors.torch import load_file

            return load_file(path)
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise InvalidSpec(
            f"weights: cannot read {path!r} as .safetensors, or as a state dict of tensors and "
            f"nothing else: {str(error).splitlines()[0]}",
            field="weights",
        ) from error
    if not isinstance(found, dict) or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise InvalidSpec(
            f"weights: expected a state dict of tensors in {path!r}, got a "
            f"{type(found).__name__} of other things",
            field="weights",
        )
    return found


def fill(network: nn.Module, state: dict[str, torch.Tensor], path: str) -> nn.Module:
    """The network with its weights, in eval mode, its parameters frozen.

    Raises:
        InvalidSpec: naming keys that are missing, too many, or of another shape.
    """
    wanted = network.state_dict()
    odd = {
        "missing": sorted(set(wanted) - set(state)),
        "unknown": sorted(set(state) - set(wanted)),
        "of another shape": [
            f"{key} {tuple(state[key].shape)} for {tuple(wanted[key].shape)}"
            for key in sorted(set(wanted) & set(state))
            if state[key].shape != wanted[key].shape
        ],
    }
    wrong = [f"{what}: {_few(keys)}" for what, keys in odd.items() if keys]
    if wrong:
        raise InvalidSpec(
            f"weights: {path!r} does not fit the network; {'; '.join(wrong)}", field="weights"
        )
    network.load_state_dict(state)
    return network.float().eval().requires_grad_(False)


def _few(keys: list[str]) -> str:
    more = len(keys) - MOST_SHOWN
    return ", ".join(keys[:MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
