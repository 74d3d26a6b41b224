"""Places of a model where layers are read: the module, and the part of its output."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from blackbox_am.oracles.torch._stand_ins import Program

OUTPUT = "output"
"""Name of the model's own output in its list of layers."""
HEADS = "heads"
"""Suffix of an attention module's name for the outputs of its heads."""

Read = Callable[[tuple[Any, ...], dict[str, Any], Any], torch.Tensor | None]
"""Function of a module's arguments, keyword arguments and output that returns a layer's values (N,
...).
"""

_COUNTS = ("num_heads", "num_attention_heads", "heads", "n_heads")
_PROJECTIONS = ("proj", "o_proj", "out_proj", "c_proj")
_QUERIES = ("qkv", "q_proj", "query", "in_proj", "c_attn")


@dataclass(frozen=True)
class Place:
    """A place where a layer is read.

    Attributes:
        module: module whose forward pass is recorded.
        read: function that selects the layer's values; None for a value that is not a tensor.
        heads: whether the values are (heads, N, tokens, dim), with one layer for each head; tokens
            can also come before stimuli, or parts can be folded into the stimuli, as in any other
            layer.
    """

    module: nn.Module
    read: Read
    heads: bool = False


def places_of(model: nn.Module) -> dict[str, Place]:
    """Every place of a model by its dotted name; the model's own output is last.

    An attention module has one more place, named after the module with the suffix `.heads`.
    """
    if isinstance(model, Program):
        places = {
            name: Place(stand_in, _heads_first if stand_in.heads else output_of, stand_in.heads)
            for name, stand_in in model.stand_ins.items()
        }
    else:
        named = {name: one for name, one in model.named_modules() if takes_hooks(one)}
        heads = {name: heads_of(module) for name, module in named.items()}
        # Heads come first, because they are read from the input of the projection.
        places = {f"{name}.{HEADS}".lstrip("."): place for name, place in heads.items() if place}
        places |= {name: Place(module, output_of) for name, module in named.items() if name}
    places[own_output(places)] = Place(model, output_of)
    return places


def takes_hooks(module: nn.Module) -> bool:
    """Whether the module is Python code; PyTorch runs no hooks on TorchScript modules."""
    return not isinstance(module, torch.jit.ScriptModule)


def own_output(names: Container[str]) -> str:
    """Name of the model's own output: `OUTPUT`, followed by `_` if a layer has this name."""
    name = OUTPUT
    while name in names:
        name += "_"
    return name


def tensors_in(output: object) -> Iterator[tuple[tuple[str, ...], torch.Tensor]]:
    """The tensors in a module's result, with the keys that lead to each tensor.

    Attention returns (values, weights), models of transformers a dict-like record, others a
    dataclass, or any of these inside of each other. Elements without names have numbers as keys.
    """
    if isinstance(output, torch.Tensor):
        yield (), output
        return
    for key, value in _entries(output):
        for keys, tensor in tensors_in(value):
            yield (key, *keys), tensor


def _entries(output: object) -> Iterator[tuple[str, object]]:
    if isinstance(output, dict):
        yield from ((str(key), value) for key, value in output.items())
    elif isinstance(output, tuple) and hasattr(output, "_fields"):
        yield from zip(output._fields, output, strict=True)
    elif isinstance(output, (tuple, list)):
        yield from ((str(number), value) for number, value in enumerate(output))
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        yield from ((one.name, getattr(output, one.name)) for one in dataclasses.fields(output))


def tensor_of(output: object) -> torch.Tensor | None:
    """A module's output, or the first tensor in it; None without a tensor."""
    return next((tensor for _, tensor in tensors_in(output)), None)


def output_of(args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> torch.Tensor | None:  # noqa: ARG001
    """As `tensor_of`, of a module's output."""
    return tensor_of(output)


def _heads_first(args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> torch.Tensor | None:  # noqa: ARG001
    """(heads, N, tokens, dim) from the attention output of a program, (N, heads, tokens, dim)."""
    values = tensor_of(output)
    return values.transpose(0, 1) if values is not None and values.ndim == 4 else None


def head_of(place: Place, head: int) -> Place:
    """The place of one head, from the place of all heads."""

    def read(args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> torch.Tensor | None:
        heads = place.read(args, kwargs, output)
        return heads[head] if heads is not None and len(heads) > head else None

    return Place(place.module, read)


def further_outputs(module: nn.Module, output: object) -> Iterator[tuple[str, Place, torch.Tensor]]:
    """The tensors behind the first in a module's output: keys, place, value.

    Values of a record have names, such as `pooler_output` or `heads.age`; values of a tuple have
    numbers, such as `1`.
    """
    for keys, tensor in list(tensors_in(output))[1:]:
        yield ".".join(keys), Place(module, _entry(keys)), tensor


def heads_of(module: nn.Module) -> Place | None:
    """Where the heads of an attention module are read; None for any other module.

    A head's output is softmax(q k^T / sqrt(d)) v, the weighted sum of its values (Vaswani et al.
    2017, equation 1), before the projection that mixes the heads. The output is read

    - from the input of that projection, where the module has one, called as in timm
      (`proj`), transformers (`o_proj`, `out_proj`) or GPT-like code (`c_proj`);
    - from the module's own output, if another module has the projection, as in transformers before
      version 5;
    - in `nn.MultiheadAttention`, whose projection is a matrix that no module applies, by
      running the module once more with the identity in its place.

    The number of heads is the module's attribute `num_heads`, or an attribute with a similar name.
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
    """(N, tokens, heads * dim) to (heads, N, tokens, dim). The order (tokens, N, ...) is kept
    likewise.
    """
    if not isinstance(values, torch.Tensor) or values.ndim < 3 or values.shape[-1] % heads:
        return None
    return values.reshape(*values.shape[:-1], heads, -1).movedim(-2, 0)


def _again(attention: nn.MultiheadAttention) -> Read:
    def read(args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> torch.Tensor | None:  # noqa: ARG001
        query = args[0] if args else kwargs["query"]
        unmixed = copy.copy(attention)
        mixing = nn.Linear(attention.embed_dim, attention.embed_dim, bias=False)
        mixing.weight = nn.Parameter(
            torch.eye(attention.embed_dim, device=query.device, dtype=query.dtype),
            requires_grad=False,
        )
        # The copy shares the parameters and has no hooks, so its run is not recorded.
        vars(unmixed)["_modules"] = {"out_proj": mixing}
        return _split(unmixed.forward(*args, **kwargs)[0], attention.num_heads)

    return read


def _entry(wanted: tuple[str, ...]) -> Read:
    def read(args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> torch.Tensor | None:  # noqa: ARG001
        return next((tensor for keys, tensor in tensors_in(output) if keys == wanted), None)

    return read
