"""Where an operation leaves the unit axis of its inputs.

Operations with weights create units: a convolution or a matrix product fixes the unit axis of its
output. Every other operation is probed: one unit of its input is changed and the operation is run
again. The unit axis of the result is the axis on which the change stays at one index. This probe
covers permutations, views, windows, concatenations, slices, pooling, attention and all other
operations between modules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from blackbox_am.oracles._marks import (
    Followed,
    Mark,
    Operand,
    batch_axes,
    kept,
    mark_of,
    of_any,
    of_pointwise,
    of_product,
    oldest_first,
    selected,
)
from blackbox_am.oracles._probing import Axes, follow

_PRODUCTS = {"mm": (0, 1), "addmm": (1, 2), "bmm": (0, 1), "baddbmm": (1, 2), "linear": (0, 1)}
"""Matrix products, with the places of their factors among the arguments."""
_CONVOLUTIONS = {"convolution", "_convolution", "convolution_overrideable", "cudnn_convolution"}
_BATCH_NORMS = {
    "native_batch_norm",
    "cudnn_batch_norm",
    "miopen_batch_norm",
    "_native_batch_norm_legit",
    "_native_batch_norm_legit_no_training",
    "native_group_norm",
}
_LAYER_NORMS = {"native_layer_norm", "_fused_rms_norm"}
_SAME_AXES = {
    "_softmax",
    "_log_softmax",
    "_safe_softmax",
    "cumsum",
    "native_dropout",
    "flip",
    "roll",
    "as_strided",
    "clone",
    "_to_copy",
    "detach",
    "alias",
}
"""Operations whose result has the axes of their first argument, though its values may mix."""
_PARTS = {
    "select",
    "unbind",
    "slice",
    "narrow",
    "split",
    "split_with_sizes",
    "chunk",
    "unsafe_split",
    "unsafe_chunk",
}
"""Operations that cut a tensor along an axis. A probe cannot follow them, because the part may have
neither the first nor the last unit.
"""
_VIEWS = {"view", "_unsafe_view", "reshape"}
_ATTENTION = "scaled_dot_product"
"""Part of the names of operations of query, key and value, (N, heads, tokens, dim)."""


class Call:
    """One operation with its arguments. The operation can be run again with one argument
    replaced.
    """

    def __init__(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.func = func
        self.args = args
        self.kwargs = kwargs
        self.leaves, self._spec = tree_flatten((args, kwargs))
        self._kept: dict[int, torch.Tensor] = {}

    @property
    def name(self) -> str:
        """The operation's name without the library and without the suffix of in-place
        operations.
        """
        name: str = self.func._schema.name  # noqa: SLF001  # has no public name
        bare = name.partition("::")[2]
        return bare if bare.endswith("__") else bare.rstrip("_")

    @property
    def quantised(self) -> bool:
        """Whether it is an operation on quantised tensors."""
        return str(self.func.namespace) == "quantized"

    def tensors(self) -> Iterator[tuple[int, torch.Tensor]]:
        """The tensors among its arguments, with their places."""
        for place, leaf in enumerate(self.leaves):
            if isinstance(leaf, torch.Tensor):
                yield place, leaf

    def keep_what_changes(self) -> None:
        """Copies the tensors that the operation writes to, before it does."""
        mutable = self.func._schema.is_mutable  # noqa: SLF001  # as above
        if not mutable or torch.Tag.pointwise in self.func.tags:
            return
        for place, tensor in self.tensors():
            self._kept[place] = tensor.clone()

    def before(self, place: int) -> torch.Tensor:
        """The tensor at `place` as it was before the operation."""
        before = self._kept.get(place)
        found: torch.Tensor = self.leaves[place] if before is None else before
        return found

    def again(self, place: int, replaced: torch.Tensor, out: int) -> torch.Tensor | None:
        """Output `out` of the operation with another tensor at `place`; None if the operation
        fails.
        """
        leaves = list(self.leaves)
        for other, tensor in self._kept.items():
            leaves[other] = tensor.clone()
        leaves[place] = replaced
        args, kwargs = tree_unflatten(leaves, self._spec)
        try:
            found = tree_leaves(self.func(*args, **kwargs))[out]
        except (RuntimeError, ValueError, IndexError, NotImplementedError):
            return None  # the operation does not accept the changed input: no result
        return found if isinstance(found, torch.Tensor) else None


def mark_of_result(
    call: Call, operands: Sequence[Operand], place: int, out: torch.Tensor, rows: int
) -> Mark:
    """The mark of one result of an operation that has a marked operand.

    Args:
        call: the operation, done already.
        operands: its tensors, with their marks before the operation.
        place: the number of the result among the results.
        out: the result.
        rows: number of stimuli.
    """
    marked = oldest_first(operands)

    def followed(operand: Operand) -> Axes | None:
        return _followed(call, operand, place, out)

    mark = _ruled(call, marked, operands, out, followed) or of_any(marked, out, followed)
    mark = _with_groups(call, marked[0], mark, out)
    if _unfolds(marked[0], mark, out, rows):
        mark = replace(mark, axes=mark.axes[1:])
    if not mark.axes and all(mark_of(one).weak for one in marked):
        mark = replace(mark, weak=True)  # before the first weights, there are no units
    elif not mark.axes and out.ndim == 2 and len(out) == rows:
        mark = replace(mark, axes=(1,), weak=False, birth=0)
    return replace(mark, class_axis=_class_axis(call, operands, mark, out))


def _ruled(
    call: Call,
    marked: Sequence[Operand],
    operands: Sequence[Operand],
    out: torch.Tensor,
    followed: Followed,
) -> Mark | None:
    """The mark that follows from the operation's definition; None if the definition does not
    determine it.
    """
    name, last = call.name, out.ndim - 1
    if name in _CONVOLUTIONS:
        return Mark((last - len(call.args[3]),)) if name != "cudnn_convolution" else Mark((1,))
    if name in _PRODUCTS:
        return _of_product(call, operands, out, followed)
    if name == "embedding":
        return Mark((last,))
    if _ATTENTION in name and out.ndim == 4:
        query, value = (_operand_at(call, operands, place) for place in (0, 2))
        if query is not None and value is not None:
            return of_product(query, value, out, followed)
    if call.quantised and name.startswith(("conv", "linear")):
        return Mark((1,) if name.startswith("conv") else (last,))
    return _of_same_axes(call, marked, out)


def _of_product(
    call: Call, operands: Sequence[Operand], out: torch.Tensor, followed: Followed
) -> Mark | None:
    left, right = (_operand_at(call, operands, place) for place in _PRODUCTS[call.name])
    if left is None or right is None:
        return None
    if right.mark is None and (call.name == "linear" or _is_transposed(right.tensor)):
        # A linear layer: `functional.linear` transposes its weights.
        return Mark((*batch_axes(left, out), out.ndim - 1))
    return of_product(left, right, out, followed)


def _of_same_axes(call: Call, marked: Sequence[Operand], out: torch.Tensor) -> Mark | None:
    """The mark where the result has the axes of the operand; None for other operations."""
    name, last = call.name, out.ndim - 1
    if name in _BATCH_NORMS and out.ndim > 1:
        return kept(marked[0], out, (1,))
    if name in _LAYER_NORMS and out.shape == marked[0].tensor.shape and len(call.args[1]) == 1:
        return kept(marked[0], out, (last,))
    same = name in _SAME_AXES | _LAYER_NORMS or call.quantised or out.is_quantized
    random = torch.Tag.nondeterministic_seeded in call.func.tags
    if (same or random) and out.shape == marked[0].tensor.shape:
        return replace(mark_of(marked[0]))
    if name in ("permute", "transpose", "t"):
        return _permuted(call, mark_of(marked[0]), out)
    if name in _PARTS:
        return selected(marked[0], out, _axis_of_parts(call, marked[0].tensor))
    if torch.Tag.pointwise in call.func.tags:
        return of_pointwise(marked, out)
    return None


def _followed(call: Call, operand: Operand, place: int, out: torch.Tensor) -> Axes | None:
    return follow(
        lambda changed: call.again(operand.place, changed, place),
        call.before(operand.place),
        mark_of(operand).axes,
        out,
    )


def _with_groups(call: Call, operand: Operand, mark: Mark, out: torch.Tensor) -> Mark:
    """The mark with what is known of groups of units, such as attention heads, whose axes a linear
    layer flattens with those of stimuli and tokens, and restores afterwards.
    """
    before, last = mark_of(operand), operand.tensor.ndim - 1
    if call.name in _PRODUCTS and out.ndim == operand.tensor.ndim == 2:
        return replace(mark, flattened=before.flattened)
    if call.name not in _VIEWS:
        return replace(mark, flattened=None)
    if before.flattened is not None and out.shape[:-1] == before.flattened[0][:-1]:
        return replace(mark, axes=before.flattened[1], weak=False, flattened=None)
    flat = out.ndim == 2 and out.shape[-1] == operand.tensor.shape[-1]
    if flat and not before.weak and before.of_groups(operand.tensor, (last,)):
        return replace(mark, flattened=(tuple(operand.tensor.shape), before.axes))
    return replace(mark, flattened=None)


def _axis_of_parts(call: Call, tensor: torch.Tensor) -> int:
    """The axis along which an operation of `_PARTS` cuts a tensor."""
    arguments = call.func._schema.arguments  # noqa: SLF001  # as above
    names = [argument.name for argument in arguments]
    place = names.index("dim")
    default = arguments[place].default_value
    given = call.args[place] if len(call.args) > place else call.kwargs.get("dim", default)
    return int(given) % tensor.ndim


def _unfolds(operand: Operand, mark: Mark, out: torch.Tensor, rows: int) -> bool:
    """Whether a view takes units apart from the stimuli, which alone are left on axis 0."""
    folded = 0 in mark_of(operand).axes and out.ndim == operand.tensor.ndim + 1
    apart = folded and operand.tensor.shape[0] == out.shape[0] * out.shape[1]
    return apart and out.shape[0] == rows and mark.axes[:2] == (0, 1)


def _operand_at(call: Call, operands: Sequence[Operand], place: int) -> Operand | None:
    return next((one for one in operands if one.tensor is call.args[place]), None)


def _is_transposed(matrix: torch.Tensor) -> bool:
    return matrix.ndim > 1 and matrix.stride(-2) == 1 and matrix.stride(-1) > 1


def _permuted(call: Call, mark: Mark, out: torch.Tensor) -> Mark:
    order = list(range(out.ndim))
    if call.name == "permute":
        order = [axis % out.ndim for axis in call.args[1]]
    elif out.ndim > 1:
        one, two = (axis % out.ndim for axis in call.args[1:3]) if call.name != "t" else (0, 1)
        order[one], order[two] = order[two], order[one]
    return replace(mark, axes=tuple(sorted(order.index(axis) for axis in mark.axes)))


def _class_axis(
    call: Call, operands: Sequence[Operand], mark: Mark, out: torch.Tensor
) -> int | None:
    """The axis of the result whose index 0 is a class token.

    A class token is a constant of the model that is put before the tokens of the stimulus. It
    is followed through sums, norms and slices.
    """
    name = call.name
    if name == "cat":
        return _class_axis_of_cat(call, operands, mark, out)
    source = next((one for one in operands if mark_of(one).class_axis is not None), None)
    if source is None:
        return None
    axis = mark_of(source).class_axis or 0
    if name == "slice":
        dim, start = (*call.args[1:3], 0, 0)[:2]
        return None if dim % out.ndim == axis and start not in (None, 0) else axis
    same = name in _SAME_AXES | _LAYER_NORMS or torch.Tag.pointwise in call.func.tags
    kept = same and out.ndim == source.tensor.ndim and out.shape[axis] == source.tensor.shape[axis]
    return axis if kept else None


def _class_axis_of_cat(
    call: Call, operands: Sequence[Operand], mark: Mark, out: torch.Tensor
) -> int | None:
    dim = (call.args[1] if len(call.args) > 1 else 0) % out.ndim
    first, rest = operands[0], operands[1:]
    if mark_of(first).class_axis == dim:
        return dim
    token = first.constant and first.tensor.ndim == out.ndim and first.tensor.shape[dim] == 1
    of_tokens = out.ndim > 2 and mark.axes and not mark.weak and dim not in mark.axes
    return dim if token and of_tokens and any(one.mark is not None for one in rest) else None
