"""Optimizer states as plain tensors: picked by target, written, and read back.

A state is a dataclass whose every field is a tensor with a leading K axis, or a dict of
such tensors: the state of a search inside another. That is all it takes for targets to
drop out of the batch, and for a snapshot to be generic.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from blackbox_am.errors import StoreCorrupt

S = TypeVar("S")


def arrays(state: Any) -> dict[str, torch.Tensor]:
    """The tensors of `state`, by field; those of a field that is a dict as `field.key`."""
    found: dict[str, torch.Tensor] = {}
    for field in fields(state):
        value = getattr(state, field.name)
        if isinstance(value, dict):
            found |= {f"{field.name}.{key}": tensor for key, tensor in value.items()}
        else:
            found[field.name] = value
    return found


def build(state_type: type[S], tensors: dict[str, torch.Tensor]) -> S:
    """The state of which `arrays` are `tensors`.

    Raises:
        TypeError: where `state_type` has other fields.
    """
    values: dict[str, Any] = {}
    for name, tensor in tensors.items():
        field, dot, key = name.partition(".")
        if dot:
            values.setdefault(field, {})[key] = tensor
        else:
            values[field] = tensor
    return state_type(**values)


def select(state: S, keep: torch.Tensor) -> S:
    """The state of the targets at positions `keep` (int64) of the K axis."""
    return build(
        type(state),
        {name: tensor[keep.to(tensor.device)] for name, tensor in arrays(state).items()},
    )


def merge(whole: S, keep: torch.Tensor, part: S) -> S:
    """`whole`, with the targets at positions `keep` replaced by those of `part`."""
    news = arrays(part)
    for name, tensor in arrays(whole).items():
        tensor[keep.to(tensor.device)] = news[name]
    return whole


def to_bytes(state: Any) -> bytes:
    """`state` as safetensors."""
    return save({name: t.detach().cpu().contiguous() for name, t in arrays(state).items()})


def from_bytes(state_type: type[S], data: bytes, device: torch.device) -> S:
    """The state that `to_bytes` wrote, on `device`.

    Raises:
        StoreCorrupt: where the bytes are damaged or of another state type.
    """
    try:
        tensors = load(data)
        return build(state_type, {name: t.to(device) for name, t in tensors.items()})
    except (SafetensorError, TypeError) as error:
        raise StoreCorrupt(
            f"the snapshot does not hold a {state_type.__name__}: {error}; "
            "delete the snapshot and the study is replayed from its start"
        ) from error
