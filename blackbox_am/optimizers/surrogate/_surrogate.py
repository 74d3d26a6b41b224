"""A local network seen through a generator: features of latents, and ascent along them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from blackbox_am.core.capability import Capability, in_words
from blackbox_am.core.generator import Generator
from blackbox_am.core.linear_algebra import aligned
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.space import Space
from blackbox_am.core.types import OracleInfo
from blackbox_am.core.units import Unit, find_layer
from blackbox_am.errors import ShapeMismatch, Unsupported
from blackbox_am.optimizers._frame import Frame, frame_of

DEFAULT_LAYERS = 6


@dataclass(frozen=True)
class Surrogate:
    """The units of some layers of a network, each the mean over its map, as features of latents.

    Attributes:
        generator: renders latents, and carries gradients.
        network: observes the stimuli, and carries gradients.
        units: the F units of the network that are read.
    """

    generator: Generator
    network: Oracle
    units: tuple[Unit, ...]

    def features(self, latents: torch.Tensor) -> torch.Tensor:
        """(N, F) float32 features of latents (N, D), on the device of the latents."""
        found = self.network.observe(self.generator.render(aligned(latents)), self.units)
        return found.to(latents.device, torch.float32)

    def ascend(
        self,
        space: Space,
        start: torch.Tensor,
        weights: torch.Tensor,
        length: torch.Tensor,
        steps: int,
    ) -> torch.Tensor:
        """A path of equal steps along the gradient of features @ weights.

        Args:
            space: of the latents.
            start: (D,) where it starts, in the frame of the space; not part of the path.
            weights: (F,).
            length: () of the path in the frame, before bounds shorten the path.
            steps: number of steps.

        Returns:
            (steps, D) in the frame. The point does not move while the gradient is 0.
        """
        frame, point, path = frame_of(space, start), start, []
        for _ in range(steps):
            slope = self._slope(space, frame, point, weights.to(torch.float32))
            norm = slope.norm()
            unit = slope / norm if bool(norm > 0) else torch.zeros_like(slope)
            point = frame.clamp(point + unit * (length / steps))
            path.append(point)
        return torch.stack(path)

    def _slope(
        self, space: Space, frame: Frame, point: torch.Tensor, weights: torch.Tensor
    ) -> torch.Tensor:
        with torch.enable_grad():
            leaf = point.detach().clone().requires_grad_()
            features = self.features(space.project(frame.outward(leaf)).unsqueeze(0))
            (slope,) = torch.autograd.grad((features[0] * weights).sum(), leaf)
        return slope.nan_to_num(0.0, 0.0, 0.0)


def surrogate(
    name: str,
    network_name: str,
    layers: tuple[str, ...],
    generator: Generator | None,
    network: Callable[[str], Oracle],
) -> Surrogate:
    """The surrogate that the optimizer called `name` asks for.

    Args:
        name: of the optimizer, for messages.
        network_name: of the network in the catalogue.
        layers: names of the layers to read; `spread_layers` chooses them if empty.
        generator: of the study.
        network: a function that returns the network of a given name.

    Raises:
        Unsupported: if the study has no generator, or if the generator or the network has no
            gradients.
        ShapeMismatch: if generator and network do not fit together.
        NotFound, UnknownUnit: for a network or a layer that does not exist.
    """
    if generator is None:
        raise Unsupported(
            f"{name} climbs a network through the study's generator, and this study has none; "
            "name a generator, or use an optimizer such as 'snes'",
            field="optimizer.name",
        )
    if not generator.differentiable:
        raise Unsupported(
            f"{name} climbs a network through the study's generator, and this {generator.kind} "
            "generator has no gradients; use an optimizer such as 'snes'",
            field="optimizer.name",
        )
    if generator.targets is not None:
        raise Unsupported(
            f"{name} learns of all targets in one go, and this {generator.kind} generator makes "
            "other stimuli for each; use an optimizer such as 'snes'",
            field="optimizer.name",
        )
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
    widths = {layer.name: layer.units for layer in info.layers}
    units = tuple(Unit(layer, index) for layer in chosen for index in range(widths[layer]))
    return Surrogate(generator, found, units)


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
