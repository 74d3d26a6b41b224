"""Optimizer states as plain tensors: selected by target, written, and read.

A state is a dataclass whose every field is a tensor with a leading K axis, or a dict of such
tensors, which is the state of an inner search. Therefore targets can be removed from the batch,
and snapshots need no code for a particular optimizer.

The state of an optimizer that is `replay_only` can also contain tuples of K live objects. They are
selected by target like rows of a tensor, but they are not copied and cannot be written.
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
    """The tensors of `state`, by field. A tensor inside a dict is named `field.key`."""
    found: dict[str, torch.Tensor] = {}
    for name, value in _values(state).items():
        if isinstance(value, dict):
            found |= {f"{name}.{key}": tensor for key, tensor in value.items()}
        elif isinstance(value, torch.Tensor):
            found[name] = value
    return found


def sessions(state: Any) -> dict[str, tuple[Any, ...]]:
    """The tuples of K live objects among the fields of `state`, by name."""
    return {n: value for n, value in _values(state).items() if isinstance(value, tuple)}


def build(
    state_type: type[S],
    tensors: dict[str, torch.Tensor],
    live: dict[str, tuple[Any, ...]] | None = None,
) -> S:
    """The state whose `arrays` are `tensors` and whose `sessions` are `live`.

    Raises:
        TypeError: if `state_type` has other fields.
    """
    values: dict[str, Any] = dict(live or {})
    for name, tensor in tensors.items():
        field, dot, key = name.partition(".")
        if dot:
            values.setdefault(field, {})[key] = tensor
        else:
            values[field] = tensor
    return state_type(**values)


def select(state: S, keep: torch.Tensor) -> S:
    """The state of the targets at positions `keep` (int64) of the K axis. It shares its live
    objects with `state`.
    """
    places = keep.tolist()
    return build(
        type(state),
        {name: tensor[keep.to(tensor.device)] for name, tensor in arrays(state).items()},
        {name: tuple(live[k] for k in places) for name, live in sessions(state).items()},
    )


def merge(whole: S, keep: torch.Tensor, part: S) -> S:
    """`whole`, with the targets at positions `keep` replaced by those of `part`."""
    news = arrays(part)
    for name, tensor in arrays(whole).items():
        tensor[keep.to(tensor.device)] = news[name]
    merged = {}
    for name, live in sessions(whole).items():
        new = dict(zip(keep.tolist(), sessions(part)[name], strict=True))
        merged[name] = tuple(new.get(k, old) for k, old in enumerate(live))
    return build(type(whole), arrays(whole), merged) if merged else whole


def to_bytes(state: Any) -> bytes:
    """`state` as safetensors. The state must hold no live objects, which cannot be written."""
    live = sessions(state)
    assert not live, f"{', '.join(live)} cannot be written; the search is recovered by replay"
    return save({name: t.detach().cpu().contiguous() for name, t in arrays(state).items()})


def from_bytes(state_type: type[S], data: bytes, device: torch.device) -> S:
    """The state that `to_bytes` wrote, on `device`.

    Raises:
        StoreCorrupt: if the bytes are damaged or belong to another state type.
    """
    try:
        tensors = load(data)
        # A loaded tensor may begin at any address. A copy begins at an aligned address, like the
        # tensors that a search creates itself.
        return build(state_type, {name: t.clone().to(device) for name, t in tensors.items()})
    except (SafetensorError, TypeError) as error:
        raise StoreCorrupt(
            f"the snapshot does not hold a {state_type.__name__}: {error}; "
            "delete the snapshot and the study is replayed from its start"
        ) from error


def _values(state: Any) -> dict[str, Any]:
    return {field.name: getattr(state, field.name) for field in fields(state)}
