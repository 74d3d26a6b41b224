"""Nets as users write them, named in configurations by `module:CLASS`."""

import torch
from torch import nn


class Example(nn.Module):
    """The generator of PyTorch's DCGAN example, with fewer channels."""

    def __init__(self, nz: int = 6, ngf: int = 4, nc: int = 3, bias: bool = False) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(nz, ngf * 4, 4, 1, 0, bias=bias),
            nn.BatchNorm2d(ngf * 4),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 4, ngf * 2, 4, 2, 1, bias=bias),
            nn.BatchNorm2d(ngf * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 2, nc, 4, 2, 1, bias=bias),
            nn.Tanh(),
        )

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """(N, nz, 1, 1) to (N, nc, 16, 16)."""
        made: torch.Tensor = self.main(z)
        return made


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self._block = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(128, 32, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.Conv2d(32, 128, 1, bias=False),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = x + self._block(x)
        return made


class Stack(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self._layers = nn.ModuleList(Residual() for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self._layers:
            x = layer(x)
        return x.relu()


class Upwards(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self._conv_1 = nn.Conv2d(64, 128, 3, padding=1)
        self._residual_stack = Stack()
        self._conv_trans_1 = nn.ConvTranspose2d(128, 64, 4, 2, 1)
        self._conv_trans_2 = nn.ConvTranspose2d(64, 3, 4, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self._residual_stack(self._conv_1(x))
        made: torch.Tensor = self._conv_trans_2(self._conv_trans_1(x).relu())
        return made


class Downwards(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self._conv_1 = nn.Conv2d(3, 64, 4, 2, 1)
        self._conv_2 = nn.Conv2d(64, 128, 4, 2, 1)
        self._conv_3 = nn.Conv2d(128, 128, 3, 1, 1)
        self._residual_stack = Stack()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self._conv_2(self._conv_1(x).relu()).relu()
        made: torch.Tensor = self._residual_stack(self._conv_3(x))
        return made


class MangoDecoder(nn.Module):
    """The decoding half of a vector-quantised autoencoder, under the names of its author."""

    def __init__(self) -> None:
        super().__init__()
        self._decoder = Upwards()

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """(N, 64, 8, 8) to (N, 3, 32, 32)."""
        made: torch.Tensor = self._decoder(vectors)
        return made


class MangoEncoder(nn.Module):
    """The encoding half."""

    def __init__(self) -> None:
        super().__init__()
        self._encoder = Downwards()
        self._pre_vq_conv = nn.Conv2d(128, 64, 1)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """(N, 3, 32, 32) to (N, 64, 8, 8)."""
        made: torch.Tensor = self._pre_vq_conv(self._encoder(pictures))
        return made


def fails() -> nn.Module:
    """A maker with a mistake."""
    raise ValueError("no weights today")
