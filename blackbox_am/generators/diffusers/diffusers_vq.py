"""The decoder of a diffusers VQModel as a generator of images: from codes, or from latents."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import torch

from blackbox_am.core.generator import check_latent_shape, check_stimuli
from blackbox_am.core.space import Space
from blackbox_am.errors import InvalidSpec
from blackbox_am.generators._codebook import Codebook, check_latent, codebook_space
from blackbox_am.generators._diffusers import Loaded, to_stimuli
from blackbox_am.generators.diffusers import _autoencoders
from blackbox_am.generators.diffusers._autoencoders import Config


class _Decoder(torch.nn.Module):
    """Decodes latents in the codebook's layout into stimuli in [0, 1]."""

    def __init__(self, model: Any, config: Config) -> None:
        super().__init__()
        self.model = model
        self.codebook = Codebook(model.quantize.embedding.weight, config.mean, config.std)
        self.spatial = config.values.get("norm_type") == "spatial"

    def forward(self, placed: torch.Tensor) -> torch.Tensor:
        chosen = self.codebook(placed)
        hidden = self.model.post_quant_conv(chosen)
        return to_stimuli(self.model.decoder(hidden, chosen if self.spatial else None))


@dataclass(frozen=True)
class DiffusersVQ(Loaded):
    """Images from a vector-quantised autoencoder (diffusers' VQModel), in one of two spaces.

    `codes`: each position of the latent grid, row by row, is the number of a codebook entry;
    latents are int64, and there are no gradients. `continuous`: latents before quantisation,
    whitened by mean and deviation of each channel over natural images (over the codebook's entries
    if the metadata contains no statistics), and quantised in the decoder as the model does. Its
    gradient passes the quantiser straight through (van den Oord, Vinyals, Kavukcuoglu, "Neural
    Discrete Representation Learning", 2017, section 3.2): a direction, not the derivative, which is
    zero almost everywhere. Runs in float32. A batch that does not fit into memory is halved.

    Attributes:
        weights: `zoo:NAME`, a folder in `save_pretrained`'s layout, or the name of a model
            that diffusers has downloaded before.
        latent: `continuous` or `codes`.

    Raises:
        InvalidSpec: for another value of `latent`.
    """

    kind: ClassVar[str] = "diffusers_vq"

    weights: str = "zoo:cifar_vq"
    latent: Literal["continuous", "codes"] = "continuous"

    def __post_init__(self) -> None:
        check_latent(self.latent)

    @property
    def space(self) -> Space:
        """Categorical over the grid's positions, or normal.

        Raises:
            NotFound: if the model does not exist.
            InvalidSpec: if the model has another class.
        """
        codes = int(self._config.values["num_vq_embeddings"])
        return codebook_space(self.latent, self._config.latent_shape, codes)

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        return self._config.stimulus_shape

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self.space, latents)
        decoder = self._net
        placed = decoder.codebook.place(latents, self._config.latent_shape[1:])
        return self._slices.render(decoder, placed)

    @property
    def encodes(self) -> bool:
        return True

    @torch.no_grad()
    def encode(self, stimuli: torch.Tensor) -> torch.Tensor:
        """The model's codes, or the whitened latents before quantisation."""
        check_stimuli(self, stimuli)
        decoder = self._net
        given = stimuli.to(decoder.codebook.mean.device, torch.float32)

        def latents(piece: torch.Tensor) -> torch.Tensor:
            vectors = decoder.model.encode(piece * 2 - 1).latents
            found: torch.Tensor = decoder.codebook.latents(vectors, self.latent)
            return found

        return self._slices.render(latents, given)

    @cached_property
    def _config(self) -> Config:
        config = _autoencoders.read_config(self.weights, "VQModel")
        if not isinstance(config.values.get("num_vq_embeddings"), int):
            raise InvalidSpec(
                f"weights {self.weights!r}: config.json says nothing of num_vq_embeddings",
                field="weights",
            )
        return config

    def _load(self) -> torch.nn.Module:
        return _Decoder(_autoencoders.load_model(self.weights, self._config), self._config)
