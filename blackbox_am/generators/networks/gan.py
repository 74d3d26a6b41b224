"""The generator of a GAN, with weights of the zoo or of the user."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import torch

from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.core.weights import read_checkpoint
from blackbox_am.errors import InvalidSpec
from blackbox_am.generators._diffusers import ZOO, to_stimuli
from blackbox_am.generators.networks._dcgan import DCGAN
from blackbox_am.generators.networks._decoders import Decoder, Whole
from blackbox_am.generators.networks._modules import GENERATOR_ENTRIES
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
            pixels, 8x8 and so on. Without the JSON file, a DCGAN of the PyTorch example's layers,
            whose sizes are read from the tensors: a state dict, or a checkpoint with it under
            `netG_state_dict`, `g_ema`, `generator` or another usual name, in `.pt`, `.pth`, `.tar`
            or `.safetensors`. It is read with `weights_only`.
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

    @property
    def space(self) -> Space:
        if not self._alone:
            return super().space
        return build_space(SpaceSpec(self.prior, self._read.latent))

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        return self._read.stimulus_shape if self._alone else super().stimulus_shape

    @property
    def _alone(self) -> bool:
        path = Path(self.weights)
        return (
            not self.weights.startswith(ZOO)
            and path.is_file()
            and not path.with_suffix(".json").is_file()
        )

    @cached_property
    def _read(self) -> DCGAN:
        return DCGAN(read_checkpoint(Path(self.weights), preferred=GENERATOR_ENTRIES).state)

    def _load(self) -> torch.nn.Module:
        if not self._alone:
            return super()._load()
        latent = self._read.latent
        return Whole(self._decode, self._read, [0.0] * latent, [1.0] * latent)

    def _decode(self, net: torch.nn.Module, latents: torch.Tensor) -> torch.Tensor:
        return to_stimuli(net(self.truncation * latents))
