"""Two small nets for time series ``(B, C, T)``, in plain PyTorch: a classifier and a VAE.

Sources:
    * Classifier: the fully convolutional net of Wang, Yan, Oates, "Time Series Classification from
      Scratch with Deep Neural Networks", IJCNN 2017, with a quarter of the width.
    * VAE: Kingma, Welling, "Auto-Encoding Variational Bayes", ICLR 2014, with convolutions.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from torch import Tensor, nn

from blackbox_am.zoo.architecture import Architecture, check_widths

FIRST = 8


class SeriesCNN(nn.Module):
    """Convolutional classifier of series, ``(B, C, T)`` to logits.

    Units are addressed by module name: ``conv1``, ``act1`` and so on to ``act3``, ``head``.

    Args:
        channels: Channels C of a series.
        widths: Channels of the three convolutions, which have kernels of size 7, 5 and 3.
        classes: Number of output logits.
    """

    def __init__(
        self, channels: int = 1, widths: tuple[int, int, int] = (32, 64, 32), classes: int = 3
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(channels, widths[0], 7, padding=3)
        self.norm1, self.act1 = nn.BatchNorm1d(widths[0]), nn.ReLU()
        self.conv2 = nn.Conv1d(widths[0], widths[1], 5, padding=2)
        self.norm2, self.act2 = nn.BatchNorm1d(widths[1]), nn.ReLU()
        self.conv3 = nn.Conv1d(widths[1], widths[2], 3, padding=1)
        self.norm3, self.act3 = nn.BatchNorm1d(widths[2]), nn.ReLU()
        self.pool = nn.AdaptiveAvgPool1d(1)
        self.head = nn.Linear(widths[2], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, classes)`` for normalised series ``(B, C, T)``."""
        x = self.act1(self.norm1(self.conv1(x)))
        x = self.act2(self.norm2(self.conv2(x)))
        x = self.act3(self.norm3(self.conv3(x)))
        logits: Tensor = self.head(self.pool(x).flatten(1))
        return logits


@dataclass(frozen=True)
class SeriesArchitecture(Architecture):
    """The parameters from which a decoder of series is built before its weights are loaded.

    Attributes:
        latent: Length D of the latent.
        widths: Channels at 8 points of time, 16 and so on, up to the full length.
        channels: Channels of a series.

    Raises:
        InvalidSpec: The values describe no net.
    """

    latent: int = 6
    widths: tuple[int, ...] = (64, 64, 48, 32, 16)
    channels: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_widths(self.widths, "(64, 64, 48, 32, 16) for series of length 128")

    @property
    def stimulus_shape(self) -> tuple[int, int]:
        """(channels, length); the length is 8 times 2 for each width after the first."""
        return (self.channels, FIRST << (len(self.widths) - 1))

    def build(self) -> nn.Module:
        """A net from latents ``(B, D)`` to series ``(B, C, T)`` in [0, 1]."""
        return SeriesDecoder(self)


class SeriesDecoder(nn.Module):
    """A linear layer to 8 points of time, doublings up to full length, then values in [0, 1]."""

    def __init__(self, architecture: SeriesArchitecture) -> None:
        super().__init__()
        widths = architecture.widths
        self.width = widths[0]
        self.dense = nn.Linear(architecture.latent, FIRST * self.width)
        layers: list[nn.Module] = [nn.ReLU()]
        for a, b in itertools.pairwise(widths):
            layers += [nn.Upsample(scale_factor=2.0), nn.Conv1d(a, b, 5, padding=2), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.values = nn.Conv1d(widths[-1], architecture.channels, 5, padding=2)

    def forward(self, z: Tensor) -> Tensor:
        """Series ``(B, C, T)`` in [0, 1] for latents ``(B, D)``."""
        x = self.dense(z).view(-1, self.width, FIRST)
        series: Tensor = self.values(self.layers(x)).sigmoid()
        return series


class SeriesEncoder(nn.Module):
    """The encoder: from series ``(B, C, T)`` to mean and log variance ``(B, D)`` of the latent."""

    def __init__(self, architecture: SeriesArchitecture) -> None:
        super().__init__()
        widths = architecture.widths[::-1]
        layers: list[nn.Module] = []
        before = architecture.channels
        for a, b in itertools.pairwise(widths):
            layers += [nn.Conv1d(before, a, 5, padding=2), nn.ReLU(),
                       nn.Conv1d(a, b, 4, 2, 1), nn.ReLU()]  # fmt: skip
            before = b
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(FIRST * widths[-1], 2 * architecture.latent)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance for series in [0, 1]."""
        mean, logvar = self.head(self.layers(x * 2 - 1).flatten(1)).chunk(2, dim=1)
        return mean, logvar
