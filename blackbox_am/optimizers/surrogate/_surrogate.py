"""A local network seen through a generator: its units as features of latents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch

from blackbox_am.core.capability import Capability, in_words
from blackbox_am.core.generator import Generator
from blackbox_am.core.linear_algebra import aligned
from blackbox_am.core.oracle import Oracle, ReadsMaps, map_cells
from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.core.units import Unit, find_layer
from blackbox_am.errors import ShapeMismatch, Unsupported
from blackbox_am.optimizers.surrogate._guide import Guide, climbable

DEFAULT_LAYERS = 6


@dataclass(frozen=True)
class Surrogate(Guide):
    """The units of some layers of a network, as features of latents: their maps, averaged over
    cells, or each the mean over its map.

    Attributes:
        generator: renders latents, and carries gradients.
        network: observes the stimuli, and carries gradients.
        layers: the layers that are read.
        side: largest height and width of a map; with 1 each unit is the mean over its map.
    """

    generator: Generator
    network: Oracle
    layers: tuple[LayerInfo, ...]
    side: int = 1

    @property
    def width(self) -> int:
        """F."""
        cells = [map_cells(layer, self.side) or (1, 1) for layer in self.layers]
        pairs = zip(self.layers, cells, strict=True)
        return sum(layer.units * height * width for layer, (height, width) in pairs)

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """All units of the layers."""
        return tuple(Unit(one.name, index) for one in self.layers for index in range(one.units))

    def features(self, latents: torch.Tensor) -> torch.Tensor:
        """(N, F) float32 features of latents (N, D), on the device of the latents."""
        stimuli = self.generator.render(aligned(latents))
        if self.side > 1 and isinstance(self.network, ReadsMaps):
            found = self.network.maps(stimuli, [layer.name for layer in self.layers], self.side)
        else:
            found = self.network.observe(stimuli, self.units)
        return found.to(latents.device, torch.float32)


def surrogate(
    name: str,
    network_name: str,
    layers: tuple[str, ...],
    generator: Generator | None,
    network: Callable[[str], Oracle],
    side: int = 1,
) -> Surrogate:
    """The surrogate that the optimizer called `name` asks for.

    Args:
        name: of the optimizer, for messages.
        network_name: of the network in the catalogue.
        layers: names of the layers to read; `spread_layers` chooses them if empty.
        generator: of the study.
        network: a function that returns the network of a given name.
        side: largest height and width of the maps that are read; 1 for the mean of each unit.

    Raises:
        Unsupported: if the study has no generator, if the generator or the network has no
            gradients, or if a layer has maps that the network cannot give.
        ShapeMismatch: if generator and network do not fit together.
        NotFound, UnknownUnit: for a network or a layer that does not exist.
    """
    generator = climbable(name, generator)
    found = network(network_name)
    info = found.describe()
    if Capability.GRADIENTS not in info.capabilities:
        raise Unsupported(
            f"{name} needs gradients of the network {network_name!r}, and this {info.kind} oracle "
            f"has {in_words(info.capabilities)}; name a local network such as 'cifar_cnn'",
            field="optimizer.parameters.network",
        )
    if info.stimulus_shape != generator.stimulus_shape:
        raise ShapeMismatch(
            f"the generator makes stimuli of shape {generator.stimulus_shape}, the network "
            f"{network_name!r} takes {info.stimulus_shape}; name a network that takes them",
            field="optimizer.parameters.network",
        )
    chosen = [find_layer(info, Unit(layer)).name for layer in layers] or spread_layers(info)
    read = tuple(find_layer(info, Unit(layer)) for layer in chosen)
    mapped = side > 1 and any(map_cells(layer, side) for layer in read)
    if mapped and not isinstance(found, ReadsMaps):
        raise Unsupported(
            f"{name} reads maps of {side} x {side} cells, and this {info.kind} oracle gives single "
            "units only; set map_side to 1, which reads the mean of each unit, or name a "
            "torch_module such as 'cifar_cnn'",
            field="optimizer.parameters.map_side",
        )
    return Surrogate(generator, found, read, side if mapped else 1)


def spread_layers(info: OracleInfo) -> list[str]:
    """Names of up to `DEFAULT_LAYERS` layers, evenly spaced from the first to the last. The
    candidates are the layers after a nonlinearity, or all layers if no layer follows a
    nonlinearity.
    """
    names = [layer.name for layer in info.layers if layer.after_nonlinearity]
    names = names or [layer.name for layer in info.layers]
    count = min(DEFAULT_LAYERS, len(names))
    gaps = max(count - 1, 1)
    return [names[(2 * i * (len(names) - 1) + gaps) // (2 * gaps)] for i in range(count)]
