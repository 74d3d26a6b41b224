"""BigGAN-deep, with the user's copy of the published weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import msgspec
import torch

from blackbox_am.core.generator import check_latent_shape
from blackbox_am.core.parameters import check
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.core.weights import fill, read_state
from blackbox_am.errors import InvalidSpec, NotFound
from blackbox_am.generators._diffusers import Loaded, to_stimuli
from blackbox_am.generators.networks._biggan import (
    BigGANConfig,
    BigGANDeep,
    at_truncation,
    truncated_normal,
)

_CURE = (
    "expected a folder of a published BigGAN-deep with config.json and pytorch_model.bin or "
    "model.safetensors, as pytorch-pretrained-biggan keeps them"
)
_FILES = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True)
class BigGAN(Loaded):
    """ImageNet pictures from BigGAN-deep's noise and class embedding, in a product space.

    The latent is the noise, then the class: both have the prior N(0, I). The noise becomes
    the truncated normal that the model was trained with, times `truncation` (Brock, Donahue
    and Simonyan 2019, section 3.1). The class part x is mapped to the embedding m + s x, with m and
    s the mean and deviation of each coordinate over the embeddings of all classes, so a search
    moves between classes. With `label` the class is fixed and only the noise is searched. There is
    no search over the numbers of classes.

    This package implements the network itself. The weights are those of the published PyTorch port,
    whose package is no longer maintained and is not needed.

    Attributes:
        weights: folder with config.json and model.safetensors or pytorch_model.bin.
        truncation: above 0, at most 1; smaller is more typical and less varied.
        label: the class, by number; the embedding is searched unless given.

    Raises:
        InvalidSpec: for numbers out of range.
    """

    kind: ClassVar[str] = "biggan"
    study_parameters: ClassVar[frozenset[str]] = frozenset({"truncation", "label"})

    weights: str
    truncation: float = 0.4
    label: int | None = None

    def __post_init__(self) -> None:
        check(0 < self.truncation <= 1, "truncation", "above 0, at most 1", self.truncation)
        if self.label is not None:
            check(self.label >= 0, "label", "0 or more", self.label)

    @property
    def space(self) -> Space:
        """Noise and embedding, each normal; the noise alone if the class is fixed.

        Raises:
            NotFound: if config.json does not exist.
            InvalidSpec: if config.json describes another kind of model, or the class does not
                exist.
        """
        config = self._config
        noise = SpaceSpec("normal", config.z_dim)
        if self.label is not None:
            classes = f"0 to {config.num_classes - 1}"
            check(self.label < config.num_classes, "label", classes, self.label)
            return build_space(noise)
        parts = (noise, SpaceSpec("normal", config.class_embed_dim))
        whole = config.z_dim + config.class_embed_dim
        return build_space(SpaceSpec("product", whole, parts=parts))

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        return (3, self._config.output_dim, self._config.output_dim)

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self.space, latents)
        values = latents.to(self._net.embeddings.weight.device, torch.float32)
        return self._slices.render(self._images, values)

    def _images(self, values: torch.Tensor) -> torch.Tensor:
        network, size = self._net, self._config.z_dim
        classes = network.embeddings.weight
        noise = truncated_normal(values[:, :size], self.truncation)
        if self.label is None:
            deviation, mean = torch.std_mean(classes, dim=1, correction=0)
            embedding = mean + deviation * values[:, size:]
        else:
            embedding = classes[:, self.label].expand(len(values), -1)
        images: torch.Tensor = network(noise, embedding)
        return to_stimuli(images)

    @cached_property
    def _config(self) -> BigGANConfig:
        path = Path(self.weights) / "config.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=BigGANConfig)
        except OSError as error:
            raise NotFound(
                f"weights: there is no {str(path)!r}; {_CURE}", field="weights"
            ) from error
        except msgspec.DecodeError as error:
            raise InvalidSpec(
                f"weights: {str(path)!r} is no configuration of BigGAN-deep: {error}",
                field="weights",
            ) from error

    def _load(self) -> torch.nn.Module:
        folder = Path(self.weights)
        path = next((folder / n for n in _FILES if (folder / n).is_file()), folder / _FILES[0])
        state = read_state(path, _CURE)
        with torch.device("meta"):
            network = BigGANDeep(self._config)
        network.to_empty(device="cpu")
        try:
            ready = at_truncation(state, self.truncation)
        except (KeyError, RuntimeError) as error:
            raise InvalidSpec(
                f"weights: {path!r} has weights under spectral normalisation without the vectors "
                f"that belong to them: {error}",
                field="weights",
            ) from error
        fill(network, ready, path)
        return network.float()
