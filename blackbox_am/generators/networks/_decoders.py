"""Base of generators with one network: weights in safetensors, architecture in a JSON file."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch

from blackbox_am.core.generator import check_latent_shape
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec, NotFound, StoreCorrupt
from blackbox_am.generators._diffusers import ZOO, Loaded
from blackbox_am.generators.diffusers._pipelines import PRIORS, Prior, check_word
from blackbox_am.zoo import catalogue, loading
from blackbox_am.zoo.architecture import Architecture

Decode = Callable[[torch.nn.Module, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Decoder(Loaded):
    """Base of generators with one network.

    Attributes:
        weights: `zoo:NAME`, or a safetensors file NAME.safetensors. NAME.json in the same folder is
            an object with `architecture`; optionally `latent_mean` and `latent_std`, the statistics
            of the latents, D numbers each; and optionally `licence`.
        prior: `normal`, N(0, I), or `sphere` of radius sqrt(D), near which almost all of the normal
            prior lies.
    """

    architectures: ClassVar[type[Architecture]]
    """The class that `architecture` is read as."""

    weights: str
    prior: Prior = "normal"

    def __post_init__(self) -> None:
        check_word("prior", self.prior, PRIORS)

    @property
    def licence(self) -> str:
        if self.weights.startswith(ZOO):
            return catalogue.LICENCE
        return str(self._files[1].get("licence", ""))

    @property
    def space(self) -> Space:
        """Normal, or a sphere.

        Raises:
            NotFound: if the weights do not exist.
            InvalidSpec: if the JSON file does not describe such a network.
        """
        return build_space(SpaceSpec(self.prior, self._architecture.latent))

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        return self._architecture.stimulus_shape

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self.space, latents)
        network = self._net
        return self._slices.render(network, latents.to(network.mean.device, torch.float32))

    @abstractmethod
    def _decode(self, net: torch.nn.Module, latents: torch.Tensor) -> torch.Tensor:
        """(N, *stimulus) in [0, 1] from (N, D)."""

    @property
    def _alone(self) -> bool:
        """Whether the weights need no JSON file beside them."""
        return False

    @cached_property
    def _files(self) -> tuple[Path, dict[str, Any]]:
        """The weights file, and the content of the JSON file."""
        if self._alone:
            return Path(self.weights), {}
        name = self.weights.removeprefix(ZOO)
        if name != self.weights:
            item = catalogue.entry(name)
            if item.kind != "decoder":
                raise InvalidSpec(
                    f"weights {self.weights!r}: expected a decoder, got kind {item.kind!r}",
                    field="weights",
                )
            return catalogue.path(name), catalogue.metadata(name)
        path = Path(self.weights)
        beside = path.with_suffix(".json")
        if path.suffix != ".safetensors" or not path.is_file() or not beside.is_file():
            missing = beside if path.is_file() else path
            raise NotFound(
                f"weights {self.weights!r}: expected zoo:NAME, or a file NAME.safetensors with "
                f"NAME.json beside it; {missing} is not there",
                field="weights",
            )
        try:
            facts = json.loads(beside.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InvalidSpec(
                f"weights {self.weights!r}: {beside} is no JSON: {error}", field="weights"
            ) from error
        return path, dict(facts) if isinstance(facts, dict) else {}

    @cached_property
    def _architecture(self) -> Architecture:
        try:
            return self.architectures.from_plain(self._files[1].get("architecture"))
        except InvalidSpec as error:
            raise InvalidSpec(f"weights {self.weights!r}: {error}", field="weights") from error

    @property
    def _statistics(self) -> tuple[list[float], list[float]]:
        """Mean and deviation of each coordinate of the net's latents over natural stimuli."""
        latent, facts = self._architecture.latent, self._files[1]
        mean = facts.get("latent_mean", [0.0] * latent)
        std = facts.get("latent_std", [1.0] * latent)
        if not len(mean) == len(std) == latent or min(std) <= 0:
            raise InvalidSpec(
                f"weights {self.weights!r}: expected latent_mean and latent_std of {latent} "
                f"numbers each, deviations above 0, got {mean} and {std}",
                field="weights",
            )
        return mean, std

    def _load(self) -> torch.nn.Module:
        if self.weights.startswith(ZOO):
            net = loading.load_decoder(self.weights.removeprefix(ZOO))
        else:
            net = self._architecture.build()
            path = self._files[0]
            cure = f"check the architecture in {path.with_suffix('.json').name}"
            try:
                loading.fill(net, path, cure)
            except StoreCorrupt as error:
                raise InvalidSpec(f"weights {self.weights!r}: {error}", field="weights") from error
        return Whole(self._decode, net, *self._statistics)


class Whole(torch.nn.Module):
    """From whitened latents (N, D) to stimuli, as one module that moves between devices."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self, decode: Decode, net: torch.nn.Module, mean: list[float], std: list[float]
    ) -> None:
        super().__init__()
        self.net, self.decode = net, decode
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return self.decode(self.net, self.mean + self.std * latents)
