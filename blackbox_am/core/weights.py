"""Files of weights: safetensors, or PyTorch's own without its pickled objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.parameter import is_lazy

from blackbox_am.core import sharded
from blackbox_am.errors import BlackboxError, InvalidSpec, NotFound

_SHOWN = 4
_COUNTER = "num_batches_tracked"
"""The step counter of batch norm: evaluation does not use it, and files may lack it."""
_CONTAINERS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "weights",
    "params",
    "state_dict_ema",
    "ema_state_dict",
    "model_ema",
    "params_ema",
    "ema",
)
"""Entries of a checkpoint in which training scripts store the model, in order of preference."""
_DEEPEST = 3

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """The state of a model that was read from a file.

    Attributes:
        state: tensors by name.
        notes: messages about the conversion, such as the entry of the file that was used.
    """

    state: State
    notes: tuple[str, ...] = ()


def read_checkpoint(path: Path, cure: str = "", preferred: tuple[str, ...] = ()) -> Checkpoint:
    """The state dict in a file, which may be a part of a checkpoint.

    `.safetensors` files contain only arrays, and `.safetensors.index.json` names several of them.
    All other files are read by `torch.load` with
    `weights_only`, which creates tensors and plain containers and runs no code of the file. The
    state may be stored under one of the names that training scripts use (`state_dict`,
    `model_state_dict`, `model`, `net`, `ema`, ...), or under any name if it is the only state.

    Args:
        path: of the file.
        cure: the remedy for a missing file, as the end of the message.
        preferred: entries that are taken before all others.

    Raises:
        NotFound: if the file does not exist.
        InvalidSpec: if the file cannot be read, or contains no state dict.
    """
    if not path.is_file():
        hint = f"; {cure}" if cure else ""
        raise NotFound(f"weights: there is no file {str(path)!r}{hint}", field="weights")
    try:
        if sharded.is_index(path):
            return Checkpoint(sharded.load(path))
        if path.suffix == ".safetensors":
            return Checkpoint(dict(load_file(path)))
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except BlackboxError:
        raise
    except Exception as error:  # the readers' errors have no common class
        raise InvalidSpec(
            f"weights: {path} cannot be read as a state dict; expected a .safetensors file, or "
            "one that torch.load reads with weights_only, as torch.save(model.state_dict(), file) "
            f"writes it: {error}",
            field="weights",
        ) from error
    notes = []
    for _ in range(_DEEPEST):
        name = _entry_of(found, preferred)
        if name is None:
            break
        notes.append(_taken(path, name, found))
        found = found[name]
    if not _is_state(found):
        raise InvalidSpec(
            f"weights: {path} holds no state dict, which is tensors by name, but "
            f"{_kind_of(found)}; save model.state_dict(), alone or in a dict under 'state_dict'",
            field="weights",
        )
    return Checkpoint(dict(found), tuple(notes))


def read_state(path: Path, cure: str = "") -> State:
    """The tensors in a file by name; see `read_checkpoint`."""
    return read_checkpoint(path, cure).state


def misfit(module: nn.Module, state: Mapping[str, torch.Tensor]) -> str:
    """The reason why `state` does not fit `module`: the wrong keys and shapes; empty if it fits.

    Batch norm's step counters may be absent. Of a tensor with several names in the module, one name
    is enough.
    """
    wanted = module.state_dict()
    tied = _tied(module)
    missing = [
        key
        for key in wanted
        if key not in state
        and not key.endswith(_COUNTER)
        and not any(other in state for other in tied.get(key, ()))
    ]
    unknown = [key for key in state if key not in wanted]
    shapes = [
        f"{key} is {tuple(value.shape)} in the file and {tuple(wanted[key].shape)} in the module"
        for key, value in state.items()
        if key in wanted and not is_lazy(wanted[key]) and value.shape != wanted[key].shape
    ]
    wrong = [
        *([f"the file lacks {few(missing)}"] if missing else []),
        *([f"the module has no {few(unknown)}"] if unknown else []),
        *([few(shapes)] if shapes else []),
    ]
    return "; ".join(wrong)


def without_prefix(module: nn.Module, state: State) -> tuple[State, str]:
    """The state under the module's own names, and the prefix that was removed from the names.

    `DataParallel` writes `module.` before every name, `torch.compile` `_orig_mod.`, Lightning
    the name of an attribute, such as `model.`. A prefix is removed if every name has it and the
    module has most of the names without the prefix; or if the names with this prefix, and with no
    other, are exactly the state of the module. Other names are then left out, such as the weights
    of a loss beside a model, or `n_averaged` of an `AveragedModel`.
    """
    plain, prefix = _without_uniform_prefix(module, state)
    if not misfit(module, plain):
        return plain, prefix
    ends = next(iter(module.state_dict()), "")
    found = {}
    for one in (key.removesuffix(ends) for key in state if ends and key.endswith("." + ends)):
        part = {key.removeprefix(one): value for key, value in state.items() if key.startswith(one)}
        if not misfit(module, part):
            found[one] = part
    if len(found) != 1:
        return plain, prefix
    ((prefix, part),) = found.items()
    return part, prefix


def _without_uniform_prefix(module: nn.Module, state: State) -> tuple[State, str]:
    wanted = set(module.state_dict())
    taken = ""
    while state and not wanted.intersection(state):
        parts = {key.partition(".")[0] for key in state}
        if len(parts) > 1 or not all("." in key for key in state):
            return state, ""
        prefix = f"{parts.pop()}."
        taken += prefix
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state, taken


def fill(module: nn.Module, state: State, path: Path) -> tuple[str, ...]:
    """Loads the `state` that was read from `path` into `module`.

    Returns:
        Messages for the operator about changes to the state; empty without changes.

    Raises:
        InvalidSpec: if it is the state of another module. The message names keys and shapes.
    """
    plain, prefix = without_prefix(module, state)
    wrong = misfit(module, plain)
    if wrong:
        raise InvalidSpec(
            f"weights: {path} does not hold the state of {type(module).__name__}: {wrong} (names "
            f"in the file: {few(list(state))}; in the module: {few(list(module.state_dict()))}); "
            "give the model with the arguments that it was trained with, or save the state_dict() "
            f"of that very module{sharded.hint(path)}",
            field="weights",
        )
    module.load_state_dict(plain, strict=False)
    if not prefix:
        return ()
    left = [key for key in state if not key.startswith(prefix)]
    beside = f", and left out {few(left)}" if left else ""
    return (f"weights: took {prefix!r} off the names in {path.name}{beside}",)


def load(module: nn.Module, path: Path) -> tuple[str, ...]:
    """Loads a file into `module`; see `read_checkpoint` and `fill`.

    Returns:
        Messages for the operator about reading the file and about changes to the state.
    """
    found = read_checkpoint(path)
    return (*found.notes, *fill(module, found.state, path))


def few(names: list[str]) -> str:
    """The first few names, and the number of further names."""
    shown = ", ".join(names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _is_state(found: Any) -> bool:
    return (
        isinstance(found, dict)
        and bool(found)
        and all(isinstance(name, str) for name in found)
        and all(isinstance(value, torch.Tensor) for value in found.values())
    )


def _entry_of(found: Any, preferred: tuple[str, ...] = ()) -> str | None:
    """The entry of a checkpoint that contains the model; None if no entry does, or if the
    checkpoint itself is a state dict.
    """
    if not isinstance(found, dict) or _is_state(found):
        return None
    for name in (*preferred, *_CONTAINERS):
        inside = found.get(name)
        if _is_state(inside) or (inside is not found and _entry_of(inside) is not None):
            return name
    states = [name for name, value in found.items() if _is_state(value)]
    return states[0] if len(states) == 1 else None


def _taken(path: Path, name: str, found: Mapping[str, Any]) -> str:
    others = [str(other) for other, value in found.items() if other != name and _is_state(value)]
    beside = f" (beside it: {few(others)})" if others else ""
    return f"weights: took the entry {name!r} of {path.name}{beside}"


def _kind_of(found: Any) -> str:
    if isinstance(found, dict):
        return f"a dict of {few([str(name) for name in found]) or 'nothing'}"
    return f"a {type(found).__name__}"


def _tied(module: nn.Module) -> dict[str, list[str]]:
    """For each name of a tensor with several names, the others."""
    groups: dict[tuple[int, tuple[int, ...], tuple[int, ...]], list[str]] = {}
    for key, value in module.state_dict().items():
        if isinstance(value, torch.Tensor) and not is_lazy(value) and value.numel():
            groups.setdefault((value.data_ptr(), value.shape, value.stride()), []).append(key)
    return {
        key: [other for other in names if other != key]
        for names in groups.values()
        for key in names
    }
