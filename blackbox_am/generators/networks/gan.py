"""The generator of a GAN, with weights of the zoo or of the user."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.errors import InvalidSpec
from blackbox_am.generators._diffusers import to_stimuli
from blackbox_am.generators.networks._decoders import Decoder
from blackbox_am.zoo.architecture import Architecture
from blackbox_am.zoo.gans import GanArchitecture


@dataclass(frozen=True)
class Gan(Decoder):
    """Images from the latents of a GAN: SN-GAN's residual generator (Miyato et al., ICLR 2018)
    or DCGAN's transposed convolutions (Radford et al., ICLR 2016).

    The net sees truncation * x for a latent x. Truncation below 1 trades variety for
    plausibility (Brock, Donahue, Simonyan, "Large Scale GAN Training for High Fidelity Natural
    Image Synthesis", ICLR 2019). The authors draw numbers outside a bound again, which is
    impossible for a searched latent. Here latents are scaled, so that different points of the space
    have different images, and gradients keep their direction. Runs in float32.

    Attributes:
        weights: `zoo:NAME`, or NAME.safetensors with NAME.json beside it, an object such as
            {"architecture": {"style": "dcgan", "latent": 100, "widths": [512, 256, 128, 64],
            "channels": 3}}; style is "sngan" or "dcgan", widths are the channels at 4x4
            pixels, 8x8 and so on.
        prior: `normal`, N(0, I), or `sphere` of radius sqrt(D), near which almost all of the normal
            prior lies.
        truncation: above 0, at most 1.

    Raises:
        InvalidSpec: for another prior or truncation; at the first use, for weights that do not fit
            (the message names the tensors), are damaged, or are of another kind.
        NotFound: at the first use, if the weights do not exist.
    """

    kind: ClassVar[str] = "gan"
    study_parameters: ClassVar[frozenset[str]] = frozenset({"truncation"})
    architectures: ClassVar[type[Architecture]] = GanArchitecture

    weights: str = "zoo:cifar_sngan"
    truncation: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.truncation) and 0 < self.truncation <= 1):
            raise InvalidSpec(
                f"truncation: expected a number above 0 and at most 1, got {self.truncation}",
                field="truncation",
            )

    def _decode(self, net: torch.nn.Module, latents: torch.Tensor) -> torch.Tensor:
        return to_stimuli(net(self.truncation * latents))
