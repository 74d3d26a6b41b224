"""Where in a model a layer is read: which module is listened to, and what is taken of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from blackbox_am.oracles.torch._stand_ins import Program

OUTPUT = "output"
"""The name of the model's own output, among its layers."""
HEADS = "heads"
"""What is appended to the name of an attention module, for the outputs of its heads."""

Read = Callable[[tuple[Any, ...], dict[str, Any], Any], torch.Tensor | None]
"""From a module's arguments, keyword arguments and output to a layer's values (N, ...)."""

_COUNTS = ("num_heads", "num_attention_heads", "heads", "n_heads")
_PROJECTIONS = ("proj", "o_proj", "out_proj", "c_proj")
_QUERIES = ("qkv", "q_proj", "query", "in_proj", "c_attn")


@dataclass(frozen=True)
class Place:
    """Where a layer is read.

    Attributes:
        module: whose forward pass is listened to.
        read: what is taken of it; None where that is no tensor.
        heads: whether that is (N, heads, tokens, dim), a layer for each head.
    """

    module: nn.Module
    read: Read
    heads: bool = False


def places_of(model: nn.Module) -> dict[str, Place]:
    """Every place of a model by its dotted name, with `OUTPUT` for the model's own output.

    Attention modules have one more, called like the module with `.heads` behind.
    """
    if isinstance(model, Program):
        places = {
            name: Place(stand_in, output_of, stand_in.heads)
            for name, stand_in in model.stand_ins.items()
        }
    else:
        named = dict(model.named_modules())
        heads = {name: heads_of(module) for name, module in named.items()}
        # Heads come first: they are computed before the projection by which they are heard.
        places = {f"{name}.{HEADS}".lstrip("."): place for name, place in heads.items() if place}
        places |= {name: Place(module, output_of) for name, module in named.items() if name}
    places.setdefault(OUTPUT, Place(model, output_of))
    return places


def tensor_of(output: object) -> torch.Tensor | None:
    """A module's output, or the first of several where that is a tensor.

    Attention returns (values, weights), and models of transformers a dict-like record.
    """
    if isinstance(output, dict):
        output = next(iter(output.values()), None)
    if isinstance(output, (tuple, list)) and output:
        output = output[0]
    return output if isinstance(output, torch.Tensor) else None


def output_of(args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> torch.Tensor | None:  # noqa: ARG001
    """As `tensor_of`, of a module's output."""
    return tensor_of(output)


def further_outputs(model: nn.Module, output: object) -> Iterator[tuple[str, Place, torch.Tensor]]:
    """The tensors behind the first in a model's output: name, place, value.

    A record has names of its own, `output.pooler_output`; a tuple is numbered, `output.1`.
    """
    if isinstance(output, dict):
        keys: list[Any] = list(output)[1:]
    elif isinstance(output, (tuple, list)):
        keys = list(range(1, len(output)))
    else:
        return
    for key in keys:
        value = output[key]
        if isinstance(value, torch.Tensor):
            yield f"{OUTPUT}.{key}", Place(model, _entry(key)), value


def head_of(place: Place, head: int) -> Place:
    """One head of a place of heads: (N, tokens, dim)."""

    def read(args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> torch.Tensor | None:
        heads = place.read(args, kwargs, output)
        return heads[:, head] if heads is not None and heads.ndim == 4 else None

    return Place(place.module, read)


def heads_of(module: nn.Module) -> Place | None:
    """Where the heads of an attention module are read; None for any other module.

    A head's output is what it makes of its values by its weights, softmax(q k^T / sqrt(d)) v
    (Vaswani et al. 2017, equation 1), before the projection that mixes the heads. It is read

    - from the input of that projection, where the module has one, called as in timm
      (`proj`), transformers (`o_proj`, `out_proj`) or GPT-like code (`c_proj`);
    - from the module's own output, where the projection is somebody else's, as in
      transformers before version 5;
    - in `nn.MultiheadAttention`, whose projection is a matrix that no module applies, by
      running the module once more with the identity in its place.

    The number of heads is what the module says, as `num_heads` or a name like it.
    """
    if isinstance(module, nn.MultiheadAttention):
        return Place(module, _again(module), heads=True)
    counts = [getattr(module, name, None) for name in _COUNTS]
    count = next((n for n in counts if isinstance(n, int) and n > 0), None)
    children = dict(module.named_children())
    if count is None or not any(name in children for name in _QUERIES):
        return None
    mixing = next((children[name] for name in _PROJECTIONS if name in children), None)
    if mixing is None:
        return Place(
            module, lambda args, kwargs, output: _split(tensor_of(output), count), heads=True
        )
    return Place(
        mixing, lambda args, kwargs, output: _split(args[0] if args else None, count), heads=True
    )


def _split(values: object, heads: int) -> torch.Tensor | None:
    """(N, tokens, heads * dim) to (N, heads, tokens, dim)."""
    if not isinstance(values, torch.Tensor) or values.ndim != 3 or values.shape[2] % heads:
        return None
    return values.reshape(*values.shape[:2], heads, -1).transpose(1, 2)


def _again(attention: nn.MultiheadAttention) -> Read:
    def read(args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> torch.Tensor | None:  # noqa: ARG001
        query = args[0] if args else kwargs["query"]
        unmixed = copy.copy(attention)
        mixing = nn.Linear(attention.embed_dim, attention.embed_dim, bias=False)
        mixing.weight = nn.Parameter(
            torch.eye(attention.embed_dim, device=query.device, dtype=query.dtype),
            requires_grad=False,
        )
        # The copy shares its parameters, and has no hooks: it is not heard.
        vars(unmixed)["_modules"] = {"out_proj": mixing}
        values: torch.Tensor = unmixed.forward(*args, **kwargs)[0]
        if not attention.batch_first and values.ndim == 3:
            values = values.transpose(0, 1)
        return _split(values, attention.num_heads)

    return read


def _entry(key: Any) -> Read:
    def read(args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> torch.Tensor | None:  # noqa: ARG001
        try:
            value = output[key]
        except (LookupError, TypeError):
            return None
        return value if isinstance(value, torch.Tensor) else None

    return read
