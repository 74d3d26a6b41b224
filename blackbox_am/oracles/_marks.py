"""Knowledge about the unit axis of a tensor, and its propagation through common operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from blackbox_am.oracles._probing import Axes


@dataclass
class Mark:
    """Knowledge about the units of a tensor that depends on the stimuli.

    Attributes:
        axes: the axes that together index the units; empty if unknown.
        weak: whether `axes` is a guess, which better knowledge replaces.
        birth: number of the operation that created these units. If two tensors are added, the older
            units are kept. 0 until the number is set.
        class_axis: the axis whose index 0 is a class token.
        flattened: the shape and the unit axes before all axes but the last were flattened, as a
            linear layer does with attention heads.
    """

    axes: Axes = ()
    weak: bool = False
    birth: int = 0
    class_axis: int | None = None
    flattened: tuple[tuple[int, ...], Axes] | None = None

    def of_groups(self, tensor: torch.Tensor, axes: Axes) -> bool:
        """Whether the units stand in groups, as (heads, dim) do, and `axes` are part of their axes.

        A vector that was reshaped to a map has no groups: all axes but one index its units.
        """
        return 1 < len(self.axes) < tensor.ndim - 1 and set(axes) < set(self.axes)


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


Followed = Callable[[Operand], Axes | None]
"""The unit axes of an operation's result, found by changing one unit of an operand."""


def oldest_first(operands: Sequence[Operand]) -> list[Operand]:
    """The operands with a mark: known before unknown, certain before guessed, older before
    younger.
    """

    def key(operand: Operand) -> tuple[bool, bool, int]:
        mark = mark_of(operand)
        return (not mark.axes, mark.weak, mark.birth)

    return sorted((one for one in operands if one.mark is not None), key=key)


def mark_of(operand: Operand) -> Mark:
    """The operand's mark; an empty mark if it has none."""
    return operand.mark or Mark()


def of_product(left: Operand, right: Operand, out: torch.Tensor, followed: Followed) -> Mark:
    """Units of a matrix product: the units of a factor whose unit axis is not summed over, else new
    units.

    The axes of a batch of matrices, such as attention heads, index units of both factors. So
    q k^T of units (head, dim) has the units (head,), although the sum is over dim.
    """
    sides = ((right, right.tensor.ndim - 2), (left, left.tensor.ndim - 1))
    for factor, summed in sides:
        mark = mark_of(factor)
        if mark.axes and not mark.weak and summed not in mark.axes:
            axes = followed(factor)
            if axes is not None:
                both = sorted({*axes, *batch_axes(left, out), *batch_axes(right, out)})
                return replace(mark, axes=tuple(both), class_axis=None)
    if right.mark is None:
        return Mark((*batch_axes(left, out), out.ndim - 1))
    if left.mark is None:
        return Mark((*batch_axes(right, out), out.ndim - 2))
    return Mark(batch_axes(left, out) or batch_axes(right, out))


def of_layer(values: Operand, out: torch.Tensor) -> Mark:
    """Units of a linear layer, which stand on the last axis. Where the layer reads the last axis of
    groups, such as attention heads, the groups stay apart.
    """
    mark, last = mark_of(values), out.ndim - 1
    same = out.shape[:-1] == values.tensor.shape[:-1]
    grouped = same and not mark.weak and mark.of_groups(values.tensor, (last,))
    return Mark(mark.axes if grouped else (last,))


def batch_axes(factor: Operand, out: torch.Tensor) -> Axes:
    """The axes of a product that index units of a factor and are not axes of its matrices."""
    mark, shift = mark_of(factor), out.ndim - factor.tensor.ndim
    if mark.weak:
        return ()
    return tuple(
        axis + shift
        for axis in mark.axes
        if axis < factor.tensor.ndim - 2 and factor.tensor.shape[axis] == out.shape[axis + shift]
    )


def of_pointwise(marked: Sequence[Operand], out: torch.Tensor) -> Mark:
    """Units of a sum, a product or a function of single values, with broadcasting."""
    for operand in marked:
        mark, shift = mark_of(operand), out.ndim - operand.tensor.ndim
        axes = tuple(axis + shift for axis in mark.axes)
        if axes and all(operand.tensor.shape[axis - shift] == out.shape[axis] for axis in axes):
            return replace(mark, axes=axes, class_axis=None)
    return Mark()


def of_any(marked: Sequence[Operand], out: torch.Tensor, followed: Followed) -> Mark:
    """Units of any other operation, found by changing one unit of an operand. The first operand
    with a result decides.
    """
    for operand in marked:
        mark = mark_of(operand)
        if not mark.axes:
            continue
        axes = followed(operand)
        if axes is None and all(operand.tensor.shape[axis] == 1 for axis in mark.axes):
            # A single unit cannot be followed: its axis is the axis of length 1.
            ones = [axis for axis in range(1, out.ndim) if out.shape[axis] == 1]
            same = out.shape == operand.tensor.shape
            axes = mark.axes if same else (ones[0],) if len(ones) == 1 else None
        if axes is not None:
            return replace(mark, axes=axes, class_axis=None)
    return Mark()


def kept(operand: Operand, out: torch.Tensor, axes: Axes) -> Mark:
    """The mark of a normalised tensor: the units of its input, if the axes agree.

    A norm over the last axis of attention heads keeps the heads apart.
    """
    mark = mark_of(operand)
    agree = mark.axes == axes or mark.of_groups(operand.tensor, axes)
    if agree and not mark.weak and out.shape == operand.tensor.shape:
        return replace(mark)
    return Mark(axes)


def selected(operand: Operand, out: torch.Tensor, axis: int) -> Mark | None:
    """The mark of a part of a tensor, cut from it along an axis, which may be removed.

    None if the units themselves are removed.
    """
    mark = mark_of(operand)
    if out.ndim == operand.tensor.ndim:
        return replace(mark, class_axis=None)
    axes = tuple(one - (one > axis) for one in mark.axes if one != axis)
    return replace(mark, axes=axes, class_axis=None) if axes or not mark.axes else None
