"""Optimizer states as plain tensors: picked by target, written, and read back.

A state is a dataclass whose every field is a tensor with a leading K axis. That is
all it takes for targets to drop out of the batch, and for a snapshot to be generic.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from blackbox_am.errors import StoreCorrupt

S = TypeVar("S")


def arrays(state: Any) -> dict[str, torch.Tensor]:
    """The fields of `state`, by name."""
    return {field.name: getattr(state, field.name) for field in fields(state)}


def select(state: S, keep: torch.Tensor) -> S:
    """The state of the targets at positions `keep` (int64) of the K axis."""
    return replace(  # type: ignore[type-var]  # S is a dataclass, which typing cannot say
        state, **{name: tensor[keep.to(tensor.device)] for name, tensor in arrays(state).items()}
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
        return state_type(**{name: t.to(device) for name, t in tensors.items()})
    except (SafetensorError, TypeError) as error:
        raise StoreCorrupt(
            f"the snapshot does not hold a {state_type.__name__}: {error}; "
            "delete the snapshot and the study is replayed from its start"
        ) from error
