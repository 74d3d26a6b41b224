"""Reads whole maps of a layer's units, averaged over cells."""

from __future__ import annotations

import torch
from torch.nn import functional

from blackbox_am.core.oracle import map_cells
from blackbox_am.core.types import LayerInfo
from blackbox_am.errors import OracleFailed


class MapReading:
    """Reads the maps of all units of a layer, as `ReadsMaps.maps` says.

    Args:
        layer: the layer.
        side: largest height and width of a map.
    """

    def __init__(self, layer: LayerInfo, side: int) -> None:
        self.layer = layer
        self._unit_axis = layer.axes.index("unit")
        self._cells = map_cells(layer, side)

    def __call__(self, output: torch.Tensor) -> torch.Tensor:
        """(N, units x cells) float32 for an output of shape (N, *layer.shape), with its gradients.

        Raises:
            OracleFailed: if the shape of the output differs from the described shape of the layer.
        """
        if tuple(output.shape[1:]) != self.layer.shape:
            raise OracleFailed(
                f"layer {self.layer.name!r}: expected an output of shape (N, "
                f"{', '.join(map(str, self.layer.shape))}), as when the model was described, got "
                f"{tuple(output.shape)}"
            )
        by_unit = output.movedim(self._unit_axis + 1, 1).to(torch.float32)
        if self._cells is None:
            return by_unit.flatten(2).mean(2) if by_unit.ndim > 2 else by_unit.clone()
        return functional.adaptive_avg_pool2d(by_unit, self._cells).flatten(1)
