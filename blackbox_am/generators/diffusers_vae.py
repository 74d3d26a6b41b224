"""The decoder of a diffusers AutoencoderKL as a generator of images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch

from blackbox_am.core.generator import Generator, check_latent_shape
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.generators import _diffusers
from blackbox_am.generators._diffusers import Config, per_channel, to_stimuli


class _Decoder(torch.nn.Module):
    """Whitened latents (N, C, H, W) to stimuli in [0, 1]."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, model: Any, config: Config) -> None:
        super().__init__()
        self.model = model
        shift = config.values.get("shift_factor") or 0.0
        mean = config.mean or (shift,)
        std = config.std or (1 / config.values.get("scaling_factor", 1.0),)
        self.register_buffer("mean", per_channel(mean))
        self.register_buffer("std", per_channel(std))

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return to_stimuli(self.model.decode(latents * self.std + self.mean).sample)


@dataclass(frozen=True)
class DiffusersVAE(Generator):
    """Images from the latents of a variational autoencoder (diffusers' AutoencoderKL).

    A latent x, flattened from (channels, height, width), is decoded at mean + std * x, with
    the mean and deviation of each latent channel over natural images, so that the prior
    N(0, I) fits. They come from `latents_mean` and `latents_std` in config.json, or from
    the zoo's metadata; where there are none, from the model's scaling and shift factors,
    which are the same with one number for all channels. Runs in float32.

    Attributes:
        weights: `zoo:NAME`, a folder in `save_pretrained`'s layout, or the name of a model
            that diffusers has downloaded before.
    """

    kind: ClassVar[str] = "diffusers_vae"

    weights: str = "zoo:cifar_vae"

    @property
    def space(self) -> Space:
        """Normal, with the latent's shape as an image.

        Raises:
            NotFound: where there is no such model.
            InvalidSpec: where it is of another class.
        """
        shape = self._config.latent_shape
        return build_space(SpaceSpec("normal", math.prod(shape), image_shape=shape))

    @property
    def differentiable(self) -> bool:
        return True

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        return self._config.stimulus_shape

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self.space, latents)
        decoder = self._decoder
        shaped = latents.to(decoder.mean.device, torch.float32)
        stimuli: torch.Tensor = decoder(shaped.reshape(-1, *self._config.latent_shape))
        return stimuli

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """(N, D) latents that are decoded to about `images` (N, *stimulus) in [0, 1]: the mean
        of the model's posterior, whitened.
        """
        decoder = self._decoder
        pictures = images.to(decoder.mean.device, torch.float32) * 2 - 1
        codes = decoder.model.encode(pictures).latent_dist.mean
        whitened: torch.Tensor = ((codes - decoder.mean) / decoder.std).flatten(1)
        return whitened

    def to(self, device: torch.device | str) -> None:
        self._decoder.to(device)

    @cached_property
    def _config(self) -> Config:
        return _diffusers.read_config(self.weights, "AutoencoderKL")

    @cached_property
    def _decoder(self) -> Any:
        with _diffusers.LOADING:
            known = vars(self)
            if "_decoder" not in known:
                model = _diffusers.load_model(self.weights, "AutoencoderKL")
                known["_decoder"] = _Decoder(model, self._config).eval().requires_grad_(False)
            return known["_decoder"]
