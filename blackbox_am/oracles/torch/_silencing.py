"""Silencing of units: the output of a layer with some of its units at 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.core.units import Unit, check_unit, find_layer
from blackbox_am.errors import CapabilityMissing
from blackbox_am.oracles.torch._hooked import Change
from blackbox_am.oracles.torch._places import Place, output_of


def silencing(
    info: OracleInfo, silenced: Sequence[Unit], places: Mapping[str, Place]
) -> dict[str, Change]:
    """For each layer with silenced units, a function from its output to the changed output.

    Raises:
        UnknownUnit: if a unit does not exist.
        CapabilityMissing: for a layer that is no output of a module, such as an attention head.
    """
    by_layer: dict[str, list[int]] = {}
    for unit in silenced:
        check_unit(info, unit)
        layer = find_layer(info, unit)
        if layer.name not in places or places[layer.name].read is not output_of:
            raise CapabilityMissing(
                f"unit {str(unit)!r}: layer {layer.name!r} is a part of a module's output and "
                "cannot be silenced; name a layer that is the output of a module",
                field="units",
            )
        chosen = range(layer.units) if unit.index is None else (unit.index,)
        by_layer.setdefault(layer.name, []).extend(chosen)
    return {name: _of(find_layer(info, Unit(name)), units) for name, units in by_layer.items()}


def _of(layer: LayerInfo, units: list[int]) -> Change:
    axis = layer.axes.index("unit") + 1
    chosen = torch.tensor(sorted(set(units)))

    def change(output: torch.Tensor) -> torch.Tensor:
        if not isinstance(output, torch.Tensor) or tuple(output.shape[1:]) != layer.shape:
            raise CapabilityMissing(
                f"layer {layer.name!r} cannot be silenced: its module does not return one tensor "
                f"of the shape (N, {', '.join(map(str, layer.shape))})"
            )
        return output.index_fill(axis, chosen.to(output.device), 0)

    return change
