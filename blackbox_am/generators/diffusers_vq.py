"""The decoder of a diffusers VQModel as a generator of images: from codes, or from latents."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import torch

from blackbox_am.core.generator import Generator, check_latent_shape
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.generators import _diffusers
from blackbox_am.generators._diffusers import Config, per_channel, to_stimuli


class _Decoder(torch.nn.Module):
    """Codes (N, H, W), or whitened latents (N, C, H, W), to stimuli in [0, 1]."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, model: Any, config: Config) -> None:
        super().__init__()
        self.model = model
        codebook = model.quantize.embedding.weight.detach()
        mean = config.mean or tuple(codebook.mean(0).tolist())
        std = config.std or tuple(codebook.std(0).tolist())
        self.register_buffer("mean", per_channel(mean))
        self.register_buffer("std", per_channel(std))

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        if latents.is_floating_point():
            chosen, _, _ = self.model.quantize(latents * self.std + self.mean)
        else:
            chosen = self.model.quantize.embedding(latents).permute(0, 3, 1, 2).contiguous()
        spatial = self.model.config.norm_type == "spatial"
        hidden = self.model.post_quant_conv(chosen)
        return to_stimuli(self.model.decoder(hidden, chosen if spatial else None))


@dataclass(frozen=True)
class DiffusersVQ(Generator):
    """Images from a vector-quantised autoencoder (diffusers' VQModel), in one of two spaces.

    `codes`: each position of the latent grid, row by row, is the number of a codebook entry;
    latents are int64, and there are no gradients. `continuous`: latents before quantisation,
    whitened by mean and deviation of each channel over natural images (over the codebook's
    entries where the metadata has none), and quantised in the decoder as the model does. Its
    gradient passes the quantiser straight through (van den Oord, Vinyals, Kavukcuoglu,
    "Neural Discrete Representation Learning", 2017, section 3.2): a direction, not the
    derivative, which is zero almost everywhere. Runs in float32.

    Attributes:
        weights: `zoo:NAME`, a folder in `save_pretrained`'s layout, or the name of a model
            that diffusers has downloaded before.
        latent: `continuous` or `codes`.

    Raises:
        InvalidSpec: for another word.
    """

    kind: ClassVar[str] = "diffusers_vq"

    weights: str = "zoo:cifar_vq"
    latent: Literal["continuous", "codes"] = "continuous"

    def __post_init__(self) -> None:
        if self.latent not in ("continuous", "codes"):
            raise InvalidSpec(
                f"latent: expected 'continuous' or 'codes', got {self.latent!r}", field="latent"
            )

    @property
    def differentiable(self) -> bool:
        """Whether `render` carries gradients: for continuous latents."""
        return self.latent == "continuous"

    @property
    def space(self) -> Space:
        """Categorical over the grid's positions, or normal.

        Raises:
            NotFound: where there is no such model.
            InvalidSpec: where it is of another class.
        """
        shape = self._config.latent_shape
        if self.latent == "continuous":
            return build_space(SpaceSpec("normal", math.prod(shape), image_shape=shape))
        grid = (1, *shape[1:])
        categories = int(self._config.values["num_vq_embeddings"])
        return build_space(
            SpaceSpec("categorical", math.prod(grid), categories=categories, image_shape=grid)
        )

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        return self._config.stimulus_shape

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self.space, latents)
        decoder = self._decoder
        device, shape = decoder.mean.device, self._config.latent_shape
        if self.latent == "codes":
            shaped = latents.to(device, torch.int64).reshape(-1, *shape[1:])
        else:
            shaped = latents.to(device, torch.float32).reshape(-1, *shape)
        stimuli: torch.Tensor = decoder(shaped)
        return stimuli

    def to(self, device: torch.device | str) -> None:
        self._decoder.to(device)

    @cached_property
    def _config(self) -> Config:
        return _diffusers.read_config(self.weights, "VQModel")

    @cached_property
    def _decoder(self) -> Any:
        with _diffusers.LOADING:
            known = vars(self)
            if "_decoder" not in known:
                model = _diffusers.load_model(self.weights, "VQModel")
                known["_decoder"] = _Decoder(model, self._config).eval().requires_grad_(False)
            return known["_decoder"]
