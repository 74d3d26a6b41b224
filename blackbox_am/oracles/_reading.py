"""Reads the requested numbers from a layer's output: positions, reductions, units."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from blackbox_am.core.types import LayerInfo
from blackbox_am.core.units import Position, Unit
from blackbox_am.errors import OracleFailed, UnknownUnit

Group = tuple[Position, str, bool]
"""Position, reduction, and whether all units of the layer are meant."""


class LayerReading:
    """Reads any number of units from one layer's output.

    The whole layer is reduced before units are selected, so the number read for a unit is
    bit-identical whatever other units are requested in the same call.

    Args:
        layer: the layer.
        units: units of this layer, checked already with `core.oracle.check_units`.
        device: where the outputs will be.
        class_token: whether token 0 is a class token, which `@cls` reads and which
            reductions over the tokens leave out.
    """

    def __init__(
        self,
        layer: LayerInfo,
        units: Sequence[Unit],
        device: torch.device | str = "cpu",
        *,
        class_token: bool = False,
    ) -> None:
        self.layer = layer
        self.class_token = class_token
        self._unit_axis = layer.axes.index("unit")
        self._extents = [
            n for n, axis in zip(layer.shape, layer.axes, strict=True) if axis != "unit"
        ]
        columns: dict[Group, list[int]] = {}
        for column, unit in enumerate(units):
            group = (self._place(unit), unit.reduce, unit.index is None)
            columns.setdefault(group, []).append(column)
        self._picks = {
            group: torch.tensor([units[c].index or 0 for c in members], device=device)
            for group, members in columns.items()
        }
        order = [column for members in columns.values() for column in members]
        self._back = torch.tensor(order, device=device).argsort()

    def __call__(self, output: torch.Tensor) -> torch.Tensor:
        """(N, U) for an output of shape (N, *layer.shape): float64 for a float64 output, else
        float32.

        The result shares no memory with `output`, and carries its gradients.

        Raises:
            OracleFailed: if the shape of the output differs from the described shape of the layer.
        """
        if tuple(output.shape[1:]) != self.layer.shape:
            expected = ", ".join(["N", *(str(n) for n in self.layer.shape)])
            raise OracleFailed(
                f"layer {self.layer.name!r}: expected an output of shape ({expected}), as when "
                f"the model was described, got {tuple(output.shape)}"
            )
        if not output.is_floating_point():
            output = output.to(torch.float32)
        wide = _wide(output)
        by_unit = output.movedim(self._unit_axis + 1, 1)
        pieces = []
        for (position, reduce, whole), picks in self._picks.items():
            found = by_unit
            if reduce == "square":  # the mean of the squares
                found, reduce = by_unit.to(wide).square(), "mean"
            values = self._at(found, position, reduce)
            if whole:
                values = _reduce(values, reduce, 1).unsqueeze(1).expand(-1, len(picks))
            pieces.append(values.index_select(1, picks).to(wide))
        return torch.cat(pieces, dim=1).index_select(1, self._back)

    def _at(self, by_unit: torch.Tensor, position: Position, reduce: str) -> torch.Tensor:
        """(N, units): `by_unit` (N, units, *extents) at a position, or reduced over all."""
        if isinstance(position, tuple):
            for index in position:
                by_unit = by_unit[:, :, index]
            return by_unit
        if not self._extents:
            return by_unit
        if self.class_token:
            by_unit = by_unit[:, :, 1:]
        return _reduce(by_unit, reduce, *range(2, by_unit.ndim))

    def _place(self, unit: Unit) -> Position:
        if unit.position == "center":
            return tuple(n // 2 for n in self._extents)
        if unit.position == "cls":
            if not self.class_token:
                raise UnknownUnit(
                    f"unit {str(unit)!r}: layer {self.layer.name!r} has no class token; "
                    "name a token by its number, such as @0",
                    field="units",
                )
            return (0,)
        return unit.position


def _reduce(values: torch.Tensor, reduce: str, *axes: int) -> torch.Tensor:
    if reduce == "mean":
        return values.mean(axes, dtype=_wide(values))
    if reduce == "sum":
        return values.sum(axes, dtype=_wide(values))
    if torch.is_grad_enabled():
        # The backward pass of max and min reads their input, which a later in-place activation
        # function may have changed.
        values = values.clone()
    return values.amax(axes) if reduce == "max" else values.amin(axes)


def _wide(values: torch.Tensor) -> torch.dtype:
    return torch.float64 if values.dtype == torch.float64 else torch.float32
