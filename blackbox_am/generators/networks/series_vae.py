"""The decoder of a variational autoencoder of time series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.generators.networks._decoders import Decoder
from blackbox_am.zoo.architecture import Architecture
from blackbox_am.zoo.series import SeriesArchitecture


@dataclass(frozen=True)
class SeriesVAE(Decoder):
    """Time series (C, T) from the latents of a VAE (Kingma, Welling, ICLR 2014).

    A latent x is decoded at mean + std * x, with the mean and deviation of each coordinate over
    natural series, so that the prior N(0, I) fits. The decoder makes the expected series,
    without the noise of natural series. Runs in float32.

    Attributes:
        weights: `zoo:NAME`, or NAME.safetensors with NAME.json beside it, an object such as
            {"architecture": {"latent": 6, "widths": [64, 64, 48, 32, 16], "channels": 1},
            "latent_mean": [...], "latent_std": [...]}; widths are the channels at 8 points of
            time, 16 and so on.
        prior: `normal`, N(0, I), or `sphere` of radius sqrt(D).

    Raises:
        InvalidSpec: for another prior; at the first use, for weights that do not fit (the message
            names the tensors), are damaged, or are of another kind.
        NotFound: at the first use, if the weights do not exist.
    """

    kind: ClassVar[str] = "series_vae"
    architectures: ClassVar[type[Architecture]] = SeriesArchitecture

    weights: str = "zoo:cbf_vae"

    def _decode(self, net: torch.nn.Module, latents: torch.Tensor) -> torch.Tensor:
        series: torch.Tensor = net(latents)
        return series
