"""The autoencoder of a latent diffusion pipeline, which decodes denoised latents into stimuli."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from blackbox_am.errors import InvalidSpec
from blackbox_am.generators import _diffusers
from blackbox_am.generators._diffusers import to_stimuli
from blackbox_am.generators.diffusers import _autoencoders


class Decoding(torch.nn.Module):
    """Scaled latents (N, C, H, W) to stimuli in [0, 1]."""

    def __init__(self, autoencoder: Any) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        scaled = latents / self.autoencoder.config.scaling_factor
        return to_stimuli(_autoencoders.decoded(self.autoencoder, scaled))


@dataclass(frozen=True)
class LatentDecoder:
    """An autoencoder in a folder of a pipeline, of any class that decodes images.

    Attributes:
        weights: as for `_diffusers.read_json`.
        part: its folder: `vae` or `vqvae`.
    """

    weights: str
    part: str

    @cached_property
    def values(self) -> dict[str, Any]:
        """The autoencoder's configuration.

        Raises:
            NotFound: if the configuration is missing.
        """
        return _diffusers.read_json(self.weights, f"{self.part}/config.json")

    @cached_property
    def scale(self) -> int:
        """The factor by which height and width grow.

        Raises:
            InvalidSpec: if the configuration does not contain the factor.
        """
        return _autoencoders.downscale(self.weights, self.values)

    def stimulus_shape(self, latent_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """(channels, height, width) of a picture that is decoded from a latent of that shape.

        Raises:
            InvalidSpec: if the autoencoder's latents have another number of channels.
        """
        channels, height, width = latent_shape
        known = _autoencoders.latent_channels(self.weights, self.values)
        if known != channels:
            raise InvalidSpec(
                f"weights {self.weights!r}: the network denoises {channels} channels, and the "
                f"autoencoder in {self.part}/ decodes {known}",
                field="weights",
            )
        colours = int(self.values.get("out_channels", 3))
        return colours, height * self.scale, width * self.scale

    def load(self) -> Decoding:
        """The decoder, on the CPU, in float32.

        Raises:
            NotFound: if weights are missing.
            InvalidSpec: if the weights do not fit, or belong to a class that does not decode
                images.
        """
        named = self.values.get("_class_name")
        owner = _diffusers.diffusers_class(self.weights, named, "decode")
        return Decoding(_diffusers.load_part(self.weights, self.part, owner))
