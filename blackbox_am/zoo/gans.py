"""Generators of adversarial nets for square pictures, from 4x4 pixels up, in plain PyTorch.

Sources:
    * Residual generator: Miyato, Kataoka, Koyama, Yoshida, "Spectral Normalization for Generative
      Adversarial Networks", ICLR 2018, appendix B.4. The paper's net has 256 channels at every
      size; this net has one width for each size, because the larger sizes cost the most.
    * DCGAN: Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional
      Generative Adversarial Networks", ICLR 2016. In the paper, the last transposed convolution
      produces the colours; here a 3x3 convolution does, as in table 3 of Miyato et al.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from blackbox_am.errors import InvalidSpec, did_you_mean
from blackbox_am.zoo.architecture import Architecture, check_widths

Style = Literal["sngan", "dcgan"]
FIRST = 4


@dataclass(frozen=True)
class GanArchitecture(Architecture):
    """The parameters from which a generator is built before its weights are loaded.

    Attributes:
        latent: Length D of the latent.
        style: ``"sngan"`` for residual blocks that repeat pixels, ``"dcgan"`` for transposed
            convolutions.
        widths: Channels at 4x4 pixels, 8x8 and so on, up to the full size.
        channels: Channels of a picture.

    Raises:
        InvalidSpec: The values describe no net.
    """

    style: Style = "sngan"
    widths: tuple[int, ...] = (256, 128, 64, 32)
    channels: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_widths(self.widths, "(256, 128, 64, 32) for 32x32 pictures")
        if self.style not in _BUILDERS:
            raise InvalidSpec(
                f"style: expected {' or '.join(map(repr, _BUILDERS))}, got {self.style!r}"
                f"{did_you_mean(str(self.style), _BUILDERS)}",
                field="style",
            )

    @property
    def stimulus_shape(self) -> tuple[int, int, int]:
        """(channels, height, width); the side is 4 times 2 for each width after the first."""
        side = FIRST << (len(self.widths) - 1)
        return (self.channels, side, side)

    def build(self) -> nn.Module:
        """A net from latents ``(B, D)`` to pictures ``(B, C, H, W)`` in [-1, 1]."""
        return GanGenerator(self, _BUILDERS[self.style](self.widths))


class UpBlock(nn.Module):
    """Residual block that doubles the side: ``(B, a, H, W)`` to ``(B, b, 2 H, 2 W)``."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, 1, 1)
        self.norm2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1)
        self.skip = nn.Conv2d(in_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Upsample by repeating pixels, apply two convolutions, and add the upsampled input."""
        out = functional.relu(self.norm1(x))
        out = self.conv1(functional.interpolate(out, scale_factor=2.0))
        out = self.conv2(functional.relu(self.norm2(out)))
        # A 1x1 convolution before the upsampling gives the same result at a quarter of the cost.
        result: Tensor = out + functional.interpolate(self.skip(x), scale_factor=2.0)
        return result


class GanGenerator(nn.Module):
    """A linear layer to 4x4 pixels, `layers` up to full size, a convolution to colours, tanh."""

    def __init__(self, architecture: GanArchitecture, layers: list[nn.Module]) -> None:
        super().__init__()
        widths = architecture.widths
        self.width = widths[0]
        self.dense = nn.Linear(architecture.latent, FIRST * FIRST * self.width)
        self.layers = nn.Sequential(*layers)
        self.colours = nn.Conv2d(widths[-1], architecture.channels, 3, 1, 1)

    def forward(self, z: Tensor) -> Tensor:
        """Pictures ``(B, C, H, W)`` in [-1, 1] for latents ``(B, D)``."""
        # Convolutions on processors with matrix units are fastest in the order channels_last.
        x = self.dense(z).view(-1, self.width, FIRST, FIRST)
        x = self.layers(x.contiguous(memory_format=torch.channels_last))
        pictures: Tensor = torch.tanh(self.colours(x))
        return pictures


def _sngan(widths: tuple[int, ...]) -> list[nn.Module]:
    blocks = [UpBlock(a, b) for a, b in itertools.pairwise(widths)]
    return [*blocks, nn.BatchNorm2d(widths[-1]), nn.ReLU()]


def _dcgan(widths: tuple[int, ...]) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.BatchNorm2d(widths[0]), nn.ReLU()]
    for a, b in itertools.pairwise(widths):
        layers += [nn.ConvTranspose2d(a, b, 4, 2, 1), nn.BatchNorm2d(b), nn.ReLU()]
    return layers


_BUILDERS: dict[str, Callable[[tuple[int, ...]], list[nn.Module]]] = {
    "sngan": _sngan,
    "dcgan": _dcgan,
}
