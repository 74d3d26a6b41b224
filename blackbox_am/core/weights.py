"""Files of weights: safetensors, or PyTorch's own without its pickled objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from blackbox_am.errors import InvalidSpec, NotFound

_SHOWN = 4
_COUNTER = "num_batches_tracked"
"""Of batch norm: it plays no part in evaluation, and files may lack it."""


def read_state(path: Path, cure: str = "") -> dict[str, torch.Tensor]:
    """The tensors of a state dict in a file, by name.

    `.safetensors` files hold nothing but arrays. All others are read by `torch.load` with
    `weights_only`, which makes tensors and plain containers and runs no code of the file; the
    state may lie under `state_dict` or `model`, as training scripts write it.

    Args:
        path: of the file.
        cure: what to do where there is none, as the end of the message.

    Raises:
        NotFound: where there is no such file.
        InvalidSpec: where it cannot be read, or holds anything else.
    """
    if not path.is_file():
        hint = f"; {cure}" if cure else ""
        raise NotFound(f"weights: there is no file {str(path)!r}{hint}", field="weights")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers have no common class of errors
        raise InvalidSpec(
            f"weights: {path} cannot be read as a state dict; expected a .safetensors file, or "
            f"one that torch.load reads with weights_only: {error}",
            field="weights",
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise InvalidSpec(
            f"weights: {path} holds no state dict, tensors by name, but a {type(found).__name__}",
            field="weights",
        )
    return found


def misfit(module: nn.Module, state: dict[str, torch.Tensor]) -> str:
    """Why `state` is not that of `module`: the keys and shapes at fault; empty where it is.

    Batch norm's step counters may be absent.
    """
    wanted = module.state_dict()
    missing = [key for key in wanted if key not in state and not key.endswith(_COUNTER)]
    unknown = [key for key in state if key not in wanted]
    shapes = [
        f"{key} is {tuple(value.shape)} in the file and {tuple(wanted[key].shape)} in the module"
        for key, value in state.items()
        if key in wanted and value.shape != wanted[key].shape
    ]
    wrong = [
        *([f"the file lacks {few(missing)}"] if missing else []),
        *([f"the module has no {few(unknown)}"] if unknown else []),
        *([few(shapes)] if shapes else []),
    ]
    return "; ".join(wrong)


def fill(module: nn.Module, state: dict[str, torch.Tensor], path: Path) -> None:
    """Loads the `state` that was read from `path` into `module`.

    Raises:
        InvalidSpec: where it is the state of another module; names keys and shapes.
    """
    wrong = misfit(module, state)
    if wrong:
        raise InvalidSpec(
            f"weights: {path} does not hold the state of {type(module).__name__}: {wrong}",
            field="weights",
        )
    module.load_state_dict(state, strict=False)


def load(module: nn.Module, path: Path) -> None:
    """Loads a file into `module`; see `read_state` and `fill`."""
    fill(module, read_state(path), path)


def few(names: list[str]) -> str:
    """The first few of them, and how many there are beyond."""
    shown = ", ".join(names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
