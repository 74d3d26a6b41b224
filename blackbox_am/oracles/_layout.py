"""The arrangement of one layer's output: the axes of stimuli, units, and positions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from blackbox_am.oracles._marks import Mark
from blackbox_am.oracles._probing import Axes
from blackbox_am.oracles._rows import Rows

UNCLEAR = (
    "which axis of its output of shape {shape} is the unit cannot be told: no operation with "
    "weights made one, and none or several keep their length with larger stimuli"
)
"""The reason why a tensor with an unknown unit axis is not a layer."""


_SPACE = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
"""Names of axes of space or time, by their number."""


@dataclass(frozen=True)
class Layout:
    """The arrangement of stimuli and units in a layer's output.

    Attributes:
        rows: how the stimuli are arranged in the output.
        shape: for one stimulus; parts that were folded into the batch come first.
        axes: the name of each axis of the shape.
        order: the axes of the output, stimuli and parts first, in the order in which axes that
            index the units together are adjacent; empty if the order is right.
    """

    rows: Rows
    shape: tuple[int, ...]
    axes: tuple[str, ...]
    order: tuple[int, ...] = ()

    @classmethod
    def of(cls, output: Sequence[int], rows: Rows, units: Axes) -> Layout:
        """The layout of an output with known unit axes.

        Several axes become one axis of units. Attention heads (N, heads, tokens, dim) become
        (N, tokens, heads * dim), where unit `head * dim + index` is the unit of this number in the
        projection that was split into heads. The groups of a convolution (N, groups, channels,
        height, width) become (N, groups * channels, height, width).

        Args:
            output: its shape as the model computed it.
            rows: how the stimuli are arranged in the output.
            units: the axes that together index the units; empty for one number for each stimulus,
                or for each part.
        """
        others = [axis for axis in range(len(output)) if axis != rows.axis]
        if not units:
            return cls(rows, (rows.parts,), ("unit",))
        parts = rows.parts > 1
        # The last axis stays last, as features do. Else the first one keeps its place.
        place = others.index(units[-1] if units[-1] == others[-1] else units[0])
        before = [axis for axis in others[:place] if axis not in units]
        behind = [axis for axis in others[place:] if axis not in units]
        lengths = (
            *(output[axis] for axis in before),
            math.prod(output[axis] for axis in units),
            *(output[axis] for axis in behind),
        )
        names = axis_names(len(lengths), len(before), parts=parts)
        start = 1 + parts
        order = [
            *range(start),
            *(start + others.index(axis) for axis in (*before, *units, *behind)),
        ]
        return cls(
            rows,
            (rows.parts, *lengths) if parts else lengths,
            names,
            tuple(order) if len(units) > 1 else (),
        )

    def arranged(self, output: torch.Tensor, rows: int) -> torch.Tensor | None:
        """(rows, *shape) of an output; None if the output has another shape.

        Quantised values are dequantised.
        """
        if output.ndim <= self.rows.axis or output.is_nested or output.layout != torch.strided:
            return None
        values = output.dequantize() if output.is_quantized else output
        try:
            values = self.rows.first(values, rows)
        except ValueError:
            return None
        if values.ndim == 1:
            values = values.unsqueeze(1)
        if self.order:
            if values.ndim != len(self.order):
                return None
            values = values.permute(self.order).reshape(len(values), *self.shape)
        return values if tuple(values.shape[1:]) == self.shape else None

    def has_class_token(self, lengths: frozenset[int]) -> bool:
        """Whether token 0 is a class token.

        Args:
            lengths: of the token sequences that begin with a class token.
        """
        return self.axes == ("token", "unit") and self.shape[0] in lengths


def marked_axes(output: Sequence[int], rows: Rows, mark: Mark | None) -> Axes | None:
    """The unit axes of an output by its mark; empty for one number for each stimulus or part.

    None if the mark does not determine them.
    """
    others = tuple(axis for axis in range(len(output)) if axis != rows.axis)
    if len(others) <= 1:
        return others
    axes = tuple(axis for axis in (mark.axes if mark is not None else ()) if axis in others)
    if axes == others:
        return axes[:1]  # a vector that was reshaped to a map has channels first
    return axes or None


def fixed_axes(output: Sequence[int], rows: Rows, larger: Sequence[int] | None) -> Axes | None:
    """The only axis that larger stimuli do not lengthen; None if there is not exactly one.

    Args:
        output: the shape for the stimuli themselves.
        rows: how the stimuli are arranged in the output.
        larger: the shape for larger stimuli; None if unknown.
    """
    if larger is None or len(larger) != len(output):
        return None
    fixed = tuple(
        axis
        for axis, (old, new) in enumerate(zip(output, larger, strict=True))
        if axis != rows.axis and old == new
    )
    return fixed if len(fixed) == 1 else None


def axis_names(count: int, unit: int, *, parts: bool = False) -> tuple[str, ...]:
    """Names for the axes of a layer whose unit axis is known.

    Axes after the unit axis are axes of a map: `length`; `height`, `width`; `depth`, `height`,
    `width`. If the unit axis is the last axis, several axes before it are axes of a map too, and a
    single axis before it is `token`. If there are axes on both sides, the axes before the unit axis
    are `part`, like windows and frames that the model has folded into the batch.

    Args:
        count: number of axes.
        unit: the place of the unit axis among them.
        parts: whether an axis of parts is added before these axes.
    """
    before, behind = unit, count - unit - 1
    if behind:
        left, right = _parts(before, start=parts), _space(behind)
    else:
        left, right = ("token",) if before == 1 else _space(before), ()
    return (*_parts(int(parts)), *left, "unit", *right)


def _space(count: int) -> tuple[str, ...]:
    return _SPACE.get(count) or tuple(f"axis{place}" for place in range(1, count + 1) if count)


def _parts(count: int, start: int = 0) -> tuple[str, ...]:
    names = (f"part{place}" if place else "part" for place in range(start, start + count))
    return tuple(names)
