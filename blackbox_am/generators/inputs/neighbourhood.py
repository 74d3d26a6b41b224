"""Images near given ones in the latent space of an autoencoder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch

from blackbox_am.core.constants import Constants
from blackbox_am.core.generator import check_latent_shape
from blackbox_am.core.parameters import check
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.generators._diffusers import weights_files
from blackbox_am.generators.diffusers.diffusers_vae import DiffusersVAE
from blackbox_am.generators.inputs._input_neighbourhood import InputNeighbourhood


@dataclass(frozen=True)
class Neighbourhood(InputNeighbourhood):
    """Images near given ones in the latent space of an autoencoder, which encodes them first.

    A latent z of the prior N(0, I) is decoded at c + radius * tanh(|z| / sqrt(D)) * z / |z|, where
    c is the code of the input (the mean of its posterior) in whitened coordinates, in which natural
    images have deviation 1 (Zhao, Dua and Singh, "Generating natural adversarial examples", 2018,
    search such neighbourhoods with growing radii). The decoded image differs from the input also at
    z = 0, by the autoencoder's own error, and its distance in pixels has no bound; for bounded
    changes of pixels, see `perturbation`.

    An attack in the latent space is a study with this generator, K images, an objective `margin`
    of the true labels and the criterion `misclassified`: `cma` finds a first success, and
    `natural_adversary` a small |z|, which the measure `latent.norm` tells. The label may be wrong
    for the decoded image at z = 0 already; the score of the first row of `natural_adversary` tells.

    `render`, which takes no targets, works around the first input.

    Attributes:
        radius: the largest distance from the code; natural images are some sqrt(2 D) apart.
        weights: an AutoencoderKL, as `diffusers_vae` takes it.

    Raises:
        InvalidSpec: for a radius that is not positive.
    """

    kind: ClassVar[str] = "neighbourhood"
    study_parameters: ClassVar[frozenset[str]] = frozenset({"radius", "channels_last", "rows"})

    radius: float = 4.0
    weights: str = "zoo:cifar_vae"

    def __post_init__(self) -> None:
        check(0 < self.radius < math.inf, "radius", "a positive number", self.radius)

    def contents(self) -> Mapping[str, object]:
        return {**super().contents(), "weights": weights_files(self.weights)}

    @property
    def space(self) -> Space:
        """The space of the autoencoder.

        Raises:
            NotFound: if the model or file does not exist.
            InvalidSpec: if the autoencoder does not accept the inputs.
        """
        spec = self._decoder.space.spec
        if self.stimulus_shape != self._decoder.stimulus_shape:
            raise InvalidSpec(
                f"inputs: expected images of shape {self._decoder.stimulus_shape}, as "
                f"{self.weights!r} takes them, got {self.stimulus_shape}",
                field="inputs",
            )
        return build_space(SpaceSpec("normal", spec.dimension, image_shape=spec.image_shape))

    @property
    def differentiable(self) -> bool:
        return True

    @property
    def licence(self) -> str:
        return self._decoder.licence

    def render_targets(self, latents: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self.space, latents)
        codes = self.mine(targets, self._codes, latents.device)
        values = latents.to(torch.float32)
        norms = values.norm(dim=1, keepdim=True).clamp_min(1e-30)
        change = values * (self.radius * torch.tanh(norms / latents.shape[1] ** 0.5) / norms)
        return self._decoder.render(codes + change)

    def to(self, device: torch.device | str) -> None:
        self._decoder.to(device)

    @cached_property
    def _decoder(self) -> DiffusersVAE:
        return DiffusersVAE(self.weights)

    @cached_property
    def _codes(self) -> Constants:
        """(K, D): the code of each input."""
        with torch.no_grad():
            codes = self._decoder.encode(torch.from_numpy(self._clean)).cpu()
        return Constants(lambda: (codes,))
