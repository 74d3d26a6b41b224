"""The arrangement of one layer's output: the axes of stimuli, units, and positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from blackbox_am.oracles._marks import Mark
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
    """

    rows: Rows
    shape: tuple[int, ...]
    axes: tuple[str, ...]

    @classmethod
    def of(cls, output: Sequence[int], rows: Rows, unit: int) -> Layout:
        """The layout of an output with a known unit axis.

        Args:
            output: its shape as the model computed it.
            rows: how the stimuli are arranged in the output.
            unit: the unit axis; -1 for one number for each stimulus, or for each part.
        """
        others = [axis for axis in range(len(output)) if axis != rows.axis]
        if unit < 0:
            return cls(rows, (rows.parts,), ("unit",))
        lengths = tuple(output[axis] for axis in others)
        parts = rows.parts > 1
        axes = axis_names(len(lengths), others.index(unit), parts=parts)
        return cls(rows, (rows.parts, *lengths) if parts else lengths, axes)

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
        return values if tuple(values.shape[1:]) == self.shape else None

    def has_class_token(self, lengths: frozenset[int]) -> bool:
        """Whether token 0 is a class token.

        Args:
            lengths: of the token sequences that begin with a class token.
        """
        return self.axes == ("token", "unit") and self.shape[0] in lengths


def marked_axis(output: Sequence[int], rows: Rows, mark: Mark | None) -> int | None:
    """The unit axis of an output by its mark; -1 for one number for each stimulus or part.

    None if the mark does not determine the axis.
    """
    others = [axis for axis in range(len(output)) if axis != rows.axis]
    if len(others) <= 1:
        return others[0] if others else -1
    axes = [axis for axis in (mark.axes if mark is not None else ()) if axis in others]
    if len(axes) > 1:
        # A vector that was reshaped to a map has channels first; the axis of heads comes before
        # units.
        return axes[0] if set(axes) == set(others) else axes[-1]
    return axes[0] if axes else None


def fixed_axis(output: Sequence[int], rows: Rows, larger: Sequence[int] | None) -> int | None:
    """The only axis that larger stimuli do not lengthen; None if there is not exactly one.

    Args:
        output: the shape for the stimuli themselves.
        rows: how the stimuli are arranged in the output.
        larger: the shape for larger stimuli; None if unknown.
    """
    if larger is None or len(larger) != len(output):
        return None
    fixed = [
        axis
        for axis, (old, new) in enumerate(zip(output, larger, strict=True))
        if axis != rows.axis and old == new
    ]
    return fixed[0] if len(fixed) == 1 else None


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
