"""MANGO's vector-quantised autoencoder for CIFAR-10, read from the assets.

The layout is that of zalandoresearch's notebook.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch import nn

from blackbox_am.errors import NotFound
from blackbox_am.generators._codebook import Codebook
from blackbox_am.generators.networks.vq_module import VQModule

FILE = "mango_vqvae_cifar10.safetensors"
MANGO_MEAN = (0.4914, 0.4822, 0.4465)
MANGO_STD = (0.2470, 0.2435, 0.2616)
"""Standard deviations of CIFAR-10's channels; the autoencoder's output is normalised by these and
by `MANGO_MEAN`. With this normalisation the reconstructions have a mean squared error of .0037;
with other normalisations the error is larger.
"""
LATENTS: dict[str, Literal["codes", "continuous"]] = {
    "mango_codes": "codes",
    "mango_4096": "continuous",
}
"""The latent space of each generator, by the generator's name in problems."""
_ENTRIES = "_vq_vae._embedding.weight"
_DECODER = {
    "_decoder._conv_1": "first",
    "_decoder._residual_stack._layers.0._block": "residuals.0",
    "_decoder._residual_stack._layers.1._block": "residuals.1",
    "_decoder._conv_trans_1": "up_1",
    "_decoder._conv_trans_2": "up_2",
}
_ENCODER = {
    "_encoder._conv_1": "down_1",
    "_encoder._conv_2": "down_2",
    "_encoder._conv_3": "last",
    "_encoder._residual_stack._layers.0._block": "residuals.0",
    "_encoder._residual_stack._layers.1._block": "residuals.1",
    "_pre_vq_conv": "out",
}
"""Names in the file, and names in the modules."""


class _Decoder(nn.Module):
    """The decoder: (N, 64, 8, 8) to (N, 3, 32, 32)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(64, 128, 3, padding=1)
        self.residuals = nn.ModuleList(_residual() for _ in range(2))
        self.up_1 = nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1)
        self.up_2 = nn.ConvTranspose2d(64, 3, 4, stride=2, padding=1)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Images normalised by `MANGO_MEAN` and `MANGO_STD`."""
        hidden = self.first(hidden)
        for residual in self.residuals:
            hidden = hidden + residual(hidden)
        image: torch.Tensor = self.up_2(self.up_1(hidden.relu()).relu())
        return image


class _Encoder(nn.Module):
    """The encoder: (N, 3, 32, 32), normalised, to (N, 64, 8, 8) before quantisation."""

    def __init__(self) -> None:
        super().__init__()
        self.down_1 = nn.Conv2d(3, 64, 4, stride=2, padding=1)
        self.down_2 = nn.Conv2d(64, 128, 4, stride=2, padding=1)
        self.last = nn.Conv2d(128, 128, 3, padding=1)
        self.residuals = nn.ModuleList(_residual() for _ in range(2))
        self.out = nn.Conv2d(128, 64, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden = self.last(self.down_2(self.down_1(images).relu()).relu())
        for residual in self.residuals:
            hidden = hidden + residual(hidden)
        vectors: torch.Tensor = self.out(hidden.relu())
        return vectors


def _residual() -> nn.Module:
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(128, 32, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.Conv2d(32, 128, 1, bias=False),
    )


@dataclass(frozen=True, eq=False)
class Mango(VQModule):
    """The decoder as a generator, with the encoder.

    Attributes:
        encoder: from normalised stimuli (N, 3, 32, 32) to vectors (N, 64, 8, 8).
    """

    encoder: Any = None

    @property
    def encodes(self) -> bool:
        return self.latent == "continuous"

    def encode(self, stimuli: torch.Tensor) -> torch.Tensor:
        if not self.encodes:
            return super().encode(stimuli)
        mean, std = (torch.tensor(part).reshape(3, 1, 1) for part in (self.mean, self.std))
        book = Codebook(self.codebook, quantise=False)
        with torch.no_grad():
            return book.latents(self.encoder((stimuli - mean) / std), self.latent)


def generator(assets: Path, latent: Literal["codes", "continuous"]) -> Mango:
    """MANGO's autoencoder as a generator.

    Args:
        assets: folder of the weights.
        latent: `codes` for a latent space of 64 codes out of 512; `continuous` for 4,096 numbers,
            the latents before quantisation, whitened for each channel by the codebook's
            statistics and decoded without quantisation.

    Raises:
        NotFound: if `assets` lacks the weights.
    """
    state = _weights(assets)
    decoder = _loaded(_Decoder(), _DECODER, state)
    decoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Mango(
        decoder,
        state[_ENTRIES],
        (8, 8),
        mean=MANGO_MEAN,
        std=MANGO_STD,
        latent=latent,
        quantise=False,
        encoder=_loaded(_Encoder(), _ENCODER, state),
    )


def _loaded(module: nn.Module, names: dict[str, str], state: dict[str, torch.Tensor]) -> nn.Module:
    """`module` in eval mode with its weights, whose names in the file begin as in `names`."""
    module.load_state_dict(
        {
            new + key.removeprefix(old): value
            for old, new in names.items()
            for key, value in state.items()
            if key.startswith(old + ".")
        }
    )
    return module.eval()


def _weights(assets: Path) -> dict[str, torch.Tensor]:
    path = assets / FILE
    if not path.is_file():
        raise NotFound(f"the assets lack {FILE}; --assets must name the folder of this file")
    return load_file(path)
