"""The decoder of a diffusers autoencoder as a generator of images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch

from blackbox_am.core.generator import check_latent_shape, check_stimuli
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.generators._diffusers import Loaded, per_channel, to_stimuli
from blackbox_am.generators.diffusers import _autoencoders
from blackbox_am.generators.diffusers._autoencoders import Config

DRAWS_NOISE = "ConsistencyDecoderVAE"
"""The decoder of this class is a diffusion model, which starts from noise."""


class _Decoder(torch.nn.Module):
    """Whitened latents (N, C, H, W) to stimuli in [0, 1]."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self, model: Any, config: Config, mean: tuple[float, ...], std: tuple[float, ...]
    ) -> None:
        super().__init__()
        self.model = model
        self.expected = config.stimulus_shape
        self.draws_noise = config.class_name == DRAWS_NOISE
        self.register_buffer("mean", per_channel(mean))
        self.register_buffer("std", per_channel(std))

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        given: dict[str, Any] = {}
        if self.draws_noise:
            # Every row has the same noise, at any position in the batch.
            given["generator"] = [torch.Generator().manual_seed(0) for _ in latents]
        pictures = _autoencoders.decoded(self.model, latents * self.std + self.mean, **given)
        if pictures.shape[1:] != self.expected:
            raise InvalidSpec(
                f"weights: the configuration promises pictures of shape {self.expected}, the "
                f"decoder makes {tuple(pictures.shape[1:])}; it is no decoder of such images",
                field="weights",
            )
        return to_stimuli(pictures)


@dataclass(frozen=True)
class DiffusersVAE(Loaded):
    """Images from the latents of an autoencoder: diffusers' AutoencoderKL, AutoencoderTiny,
    or any of its classes that decodes images, by the name in config.json.

    A latent x, flattened from (channels, height, width), is decoded at mean + std * x, with
    the mean and deviation of each latent channel over natural images, so that the prior
    N(0, I) fits. Mean and deviation come from `latents_mean` and `latents_std` in config.json, or
    from the zoo's metadata. If both are missing, they come from the model's scaling and shift
    factors, one number for all channels. Runs in float32. A batch that does not fit into memory is
    halved. A ConsistencyDecoderVAE starts from its own noise, which is the same for every latent
    here.

    Attributes:
        weights: `zoo:NAME`, a folder in `save_pretrained`'s layout, or the name of a model
            that diffusers has downloaded before.
        scaling_factor: the factor that gave latents deviation 1 in the training, if the
            configuration does not contain it. Overrides all values of the configuration.
        size: side of a picture in pixels, for classes whose configuration does not contain it, or
            to decode pictures of another size.

    Raises:
        InvalidSpec: for numbers that are not above 0.
    """

    kind: ClassVar[str] = "diffusers_vae"

    weights: str = "zoo:cifar_vae"
    scaling_factor: float | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        factor = self.scaling_factor
        if factor is not None and not 0 < factor < math.inf:
            raise InvalidSpec(
                f"scaling_factor: expected a number above 0, got {factor}", field="scaling_factor"
            )
        if self.size is not None and self.size < 1:
            raise InvalidSpec(f"size: expected 1 or more pixels, got {self.size}", field="size")

    @property
    def space(self) -> Space:
        """Normal, with the latent's shape as an image.

        Raises:
            NotFound: if the model does not exist.
            InvalidSpec: if the model's class does not decode images, or its configuration is
                incomplete, for example without a scaling factor.
        """
        shape = self._config.latent_shape
        return build_space(SpaceSpec("normal", math.prod(shape), image_shape=shape))

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        return self._config.stimulus_shape

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self.space, latents)
        decoder = self._net
        shaped = latents.to(decoder.mean.device, torch.float32)
        return self._slices.render(decoder, shaped.reshape(-1, *self._config.latent_shape))

    @property
    def encodes(self) -> bool:
        return True

    @torch.no_grad()
    def encode(self, stimuli: torch.Tensor) -> torch.Tensor:
        """The whitened mean of the model's posterior, or the whitened code if the model has no
        posterior.
        """
        check_stimuli(self, stimuli)
        given = stimuli.to(self._net.mean.device, torch.float32)
        return self._slices.render(self._encoded, given)

    def _encoded(self, stimuli: torch.Tensor) -> torch.Tensor:
        decoder = self._net
        encoded = decoder.model.encode(stimuli * 2 - 1)
        codes = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mean
        whitened: torch.Tensor = ((codes - decoder.mean) / decoder.std).flatten(1)
        return whitened

    @cached_property
    def _config(self) -> Config:
        config = _autoencoders.read_config(self.weights, size=self.size)
        if not config.std:
            self._scaling(config)
        return config

    def _scaling(self, config: Config) -> float:
        factor = self.scaling_factor
        if factor is None:
            factor = config.values.get("scaling_factor")
        if factor is None:
            raise InvalidSpec(
                f"weights {self.weights!r}: config.json has neither scaling_factor nor "
                "latents_mean and latents_std; give the parameter scaling_factor, 1 over the "
                "deviation of the model's latents over images",
                field="scaling_factor",
            )
        return float(factor)

    def _load(self) -> torch.nn.Module:
        config = self._config
        model = _autoencoders.load_model(self.weights, config)
        if config.std and self.scaling_factor is None:
            return _Decoder(model, config, config.mean, config.std)
        shift = float(config.values.get("shift_factor") or 0.0)
        return _Decoder(model, config, (shift,), (1 / self._scaling(config),))
