"""Where an operation leaves the unit axis of its inputs.

Operations with weights create units: a convolution or a matrix product fixes the unit axis of its
output. Every other operation is probed: one unit of its input is changed and the operation is run
again. The unit axis of the result is the axis on which the change stays at one index. This probe
covers permutations, views, windows, concatenations, slices, pooling, attention and all other
operations between modules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from blackbox_am.oracles.torch._probing import Axes, follow

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


@dataclass
class Mark:
    """Knowledge about the units of a tensor that depends on the stimuli.

    Attributes:
        axes: the axes that together index the units; empty if unknown.
        weak: whether `axes` is a guess, which better knowledge replaces.
        birth: number of the operation that created these units. If two tensors are added, the older
            units are kept. 0 until the number is set.
        class_axis: the axis whose index 0 is a class token.
    """

    axes: Axes = ()
    weak: bool = False
    birth: int = 0
    class_axis: int | None = None


@dataclass(frozen=True)
class Operand:
    """A tensor among the arguments of an operation.

    Attributes:
        place: its number among the leaves of the arguments.
        tensor: the tensor.
        mark: the knowledge about its units; None if the tensor does not depend on the stimuli.
        constant: whether it is a weight or buffer of the model, or computed from these.
    """

    place: int
    tensor: torch.Tensor
    mark: Mark | None
    constant: bool


class Call:
    """One operation with its arguments. The operation can be run again with one argument
    replaced.
    """

    def __init__(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.func = func
        self.args = args
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
        kept = self._kept.get(place)
        found: torch.Tensor = self.leaves[place] if kept is None else kept
        return found

    def again(self, place: int, replaced: torch.Tensor, out: int) -> torch.Tensor | None:
        """Output `out` of the operation with another tensor at `place`; None if the operation
        fails.
        """
        leaves = list(self.leaves)
        for other, kept in self._kept.items():
            leaves[other] = kept.clone()
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
    marked = sorted(
        (operand for operand in operands if operand.mark is not None),
        key=lambda operand: _age(operand.mark),
    )
    mark = _ruled(call, marked, operands, out) or _probed(call, marked, place, out)
    if not mark.axes and out.ndim == 2 and len(out) == rows:
        mark = replace(mark, axes=(1,), weak=False, birth=0)
    return replace(mark, class_axis=_class_axis(call, operands, mark, out))


def _age(mark: Mark | None) -> tuple[bool, bool, int]:
    """Sorts marks: known before unknown, certain before guessed, older before younger."""
    return (
        mark is None or not mark.axes,
        mark is not None and mark.weak,
        mark.birth if mark else 0,
    )


def _ruled(
    call: Call, marked: Sequence[Operand], operands: Sequence[Operand], out: torch.Tensor
) -> Mark | None:
    """The mark that the operation's own definition gives; None where it gives none."""
    name, last = call.name, out.ndim - 1
    if name in _CONVOLUTIONS:
        return Mark((last - len(call.args[3]),)) if name != "cudnn_convolution" else Mark((1,))
    if name in _PRODUCTS:
        return _of_product(call, operands, out)
    if name in _BATCH_NORMS and out.ndim > 1:
        return _kept(marked[0], out, (1,))
    if name in _LAYER_NORMS and out.shape == marked[0].tensor.shape and len(call.args[1]) == 1:
        return _kept(marked[0], out, (last,))
    if name == "embedding":
        return Mark((last,))
    if call.quantised and name.startswith(("conv", "linear")):
        return Mark((1,) if name.startswith("conv") else (last,))
    same = name in _SAME_AXES | _LAYER_NORMS or call.quantised or out.is_quantized
    random = torch.Tag.nondeterministic_seeded in call.func.tags
    if (same or random) and out.shape == marked[0].tensor.shape:
        return replace(_mark(marked[0]))
    if name in ("permute", "transpose", "t"):
        return _permuted(call, _mark(marked[0]), out)
    if torch.Tag.pointwise in call.func.tags:
        return _of_pointwise(marked, out)
    return None


def _probed(call: Call, marked: Sequence[Operand], place: int, out: torch.Tensor) -> Mark:
    """The mark that a changed unit of an operand leads to."""
    for operand in marked:
        mark = _mark(operand)
        if not mark.axes:
            continue
        axes = _followed(call, operand, place, out)
        if axes is None and all(operand.tensor.shape[axis] == 1 for axis in mark.axes):
            # A single unit cannot be followed: its axis is the axis of length 1.
            ones = [axis for axis in range(1, out.ndim) if out.shape[axis] == 1]
            same = out.shape == operand.tensor.shape
            axes = mark.axes if same else (ones[0],) if len(ones) == 1 else None
        if axes is not None:
            return replace(mark, axes=axes, class_axis=None)
    return Mark()


def _followed(call: Call, operand: Operand, place: int, out: torch.Tensor) -> Axes | None:
    return follow(
        lambda changed: call.again(operand.place, changed, place),
        call.before(operand.place),
        _mark(operand).axes,
        out,
    )


def _of_product(call: Call, operands: Sequence[Operand], out: torch.Tensor) -> Mark | None:
    """Units of a matrix product: the units of a factor whose unit axis is not summed over, else new
    units.
    """
    left, right = (
        next((one for one in operands if one.tensor is call.args[place]), None)
        for place in _PRODUCTS[call.name]
    )
    if left is None or right is None:
        return None
    sides = ((right, right.tensor.ndim - 2), (left, left.tensor.ndim - 1))
    for factor, summed in sides:
        if factor.mark is not None and factor.mark.axes and summed not in factor.mark.axes:
            axes = _followed(call, factor, 0, out)
            if axes is not None:
                return replace(factor.mark, axes=axes, class_axis=None)
    if right.mark is None:
        return Mark((out.ndim - 1,))
    if left.mark is None:
        return Mark((out.ndim - 2,))
    return Mark()


def _of_pointwise(marked: Sequence[Operand], out: torch.Tensor) -> Mark:
    """Units of a sum, a product or a function of single values, with broadcasting."""
    for operand in marked:
        mark, shift = _mark(operand), out.ndim - operand.tensor.ndim
        axes = tuple(axis + shift for axis in mark.axes)
        if axes and all(operand.tensor.shape[axis - shift] == out.shape[axis] for axis in axes):
            return replace(mark, axes=axes, class_axis=None)
    return Mark()


def _permuted(call: Call, mark: Mark, out: torch.Tensor) -> Mark:
    order = list(range(out.ndim))
    if call.name == "permute":
        order = [axis % out.ndim for axis in call.args[1]]
    elif out.ndim > 1:
        one, two = (axis % out.ndim for axis in call.args[1:3]) if call.name != "t" else (0, 1)
        order[one], order[two] = order[two], order[one]
    return replace(mark, axes=tuple(sorted(order.index(axis) for axis in mark.axes)))


def _kept(operand: Operand, out: torch.Tensor, axes: Axes) -> Mark:
    """The mark of a normalised tensor: the units of its input, if the axes agree."""
    mark = _mark(operand)
    if mark.axes == axes and not mark.weak and out.shape == operand.tensor.shape:
        return replace(mark)
    return Mark(axes)


def _mark(operand: Operand) -> Mark:
    return operand.mark or Mark()


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
    source = next((one for one in operands if _mark(one).class_axis is not None), None)
    if source is None:
        return None
    axis = _mark(source).class_axis or 0
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
    if _mark(first).class_axis == dim:
        return dim
    token = first.constant and first.tensor.ndim == out.ndim and first.tensor.shape[dim] == 1
    of_tokens = out.ndim > 2 and mark.axes and not mark.weak and dim not in mark.axes
    return dim if token and of_tokens and any(one.mark is not None for one in rest) else None
