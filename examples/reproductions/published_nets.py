"""Networks whose published weights do not ship, with the names of layers that the files have.

Used by `resnet20.toml` and `mango_snn.toml`, which need this folder on Python's path.
"""

# ruff: noqa: SLF001  # the published files have names with an underscore

import torch
from torch import nn
from torch.nn import functional


class ResNet20(nn.Module):
    """ResNet-20 for CIFAR-10 in the layout of akamaster/pytorch_resnet_cifar10 (BSD-2)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(Block(16, 16) for _ in range(3)))
        self.layer2 = nn.Sequential(Block(16, 32), Block(32, 32), Block(32, 32))
        self.layer3 = nn.Sequential(Block(32, 64), Block(64, 64), Block(64, 64))
        self.linear = nn.Linear(64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, 10) of normalised images (N, 3, 32, 32)."""
        hidden = functional.relu(self.bn1(self.conv1(images)))
        hidden = self.layer3(self.layer2(self.layer1(hidden)))
        logits: torch.Tensor = self.linear(hidden.mean(dim=(2, 3)))
        return logits


class Block(nn.Module):
    """Two convolutions; the shortcut of a wider block takes every second pixel."""

    def __init__(self, narrow: int, wide: int) -> None:
        super().__init__()
        self.wider = wide - narrow
        self.conv1 = nn.Conv2d(narrow, wide, 3, 2 if self.wider else 1, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(images)))))
        if self.wider:
            half = (0, 0, 0, 0, self.wider // 2, self.wider // 2)
            images = functional.pad(images[:, :, ::2, ::2], half)
        return functional.relu(hidden + images)


class MangoDecoder(nn.Module):
    """The decoder of MANGO's autoencoder (MIT): vectors (N, 64, 8, 8) to images (N, 3, 32, 32)."""

    def __init__(self) -> None:
        super().__init__()
        self._decoder = nn.Module()
        self._decoder._conv_1 = nn.Conv2d(64, 128, 3, padding=1)
        self._decoder._residual_stack = nn.Module()
        self._decoder._residual_stack._layers = nn.ModuleList(Residual() for _ in range(2))
        self._decoder._conv_trans_1 = nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1)
        self._decoder._conv_trans_2 = nn.ConvTranspose2d(64, 3, 4, stride=2, padding=1)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        part = self._decoder
        hidden = part._conv_1(vectors)
        for residual in part._residual_stack._layers:
            hidden = hidden + residual(hidden)
        hidden = functional.relu(part._conv_trans_1(functional.relu(hidden)))
        images: torch.Tensor = part._conv_trans_2(hidden)
        return images


class Residual(nn.Module):
    """A residual block of MANGO's autoencoder."""

    def __init__(self) -> None:
        super().__init__()
        self._block = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(128, 32, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.Conv2d(32, 128, 1, bias=False),
        )

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self._block(hidden)
        return found


class MangoSpiking(nn.Module):
    """One step of MANGO's spiking classifier (MIT), whose neurons keep their state."""

    def __init__(self) -> None:
        super().__init__()
        from snntorch import Leaky  # an extra of the package: snn

        self.conv0 = nn.Conv2d(3, 200, 5)
        self.spiking0 = Leaky(beta=0.9, init_hidden=True)
        self.conv1 = nn.Conv2d(200, 64, 5)
        self.spiking1 = Leaky(beta=0.9, init_hidden=True)
        self.linear1 = nn.Linear(1600, 100)
        self.spiking2 = Leaky(beta=0.9, init_hidden=True)
        self.linear2 = nn.Linear(100, 10)
        self.final_spiking = Leaky(beta=0.9, init_hidden=True)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden = functional.max_pool2d(self.conv0(images), 3, 2, 1)
        hidden = functional.max_pool2d(self.conv1(self.spiking0(hidden)), 2)
        hidden = self.spiking2(self.linear1(self.spiking1(hidden).flatten(1)))
        spikes: torch.Tensor = self.final_spiking(functional.relu(self.linear2(hidden)))
        return spikes
