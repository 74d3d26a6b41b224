"""The contract of a generator's wrapper: a generator around another generator."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import torch

from blackbox_am.core.generator import Generator, check_stimuli
from blackbox_am.core.space import Space
from blackbox_am.core.wrapper import check_inner


@dataclass(frozen=True)
class GeneratorWrapper(Generator):
    """A generator that changes the stimuli of another; the latent space stays.

    Wrappers are put around any generator, and around each other:
    ``Colour(Resize(DiffusersVAE(), (28, 28)), "grey")``.

    Attributes:
        inner: the wrapped generator.

    Raises:
        InvalidSpec: if `inner` is not a generator.
    """

    inner: Any

    def __post_init__(self) -> None:
        check_inner(self.kind, self.inner, Generator, "a generator")

    @property
    def space(self) -> Space:
        space: Space = self.inner.space
        return space

    @property
    def differentiable(self) -> bool:
        return bool(self.inner.differentiable)

    @property
    def licence(self) -> str:
        return str(self.inner.licence)

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        """Shape of one stimulus.

        Raises:
            InvalidSpec: if the wrapper cannot change the inner stimuli.
        """
        return self.around(tuple(self.inner.stimulus_shape))

    def around(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the changed stimuli, if the inner stimuli have `shape`. Override it if the shape
        changes.

        Raises:
            InvalidSpec: if the wrapper cannot change such stimuli.
        """
        return shape

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        return self.changed(self.inner.render(latents))

    @property
    def targets(self) -> int | None:
        known: int | None = self.inner.targets
        return known

    def render_targets(self, latents: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return self.changed(self.inner.render_targets(latents, targets))

    def input_digests(self, targets: int) -> tuple[str, ...]:
        return tuple(self.inner.input_digests(targets))

    def references(self, targets: torch.Tensor) -> torch.Tensor | None:
        found: torch.Tensor | None = self.inner.references(targets)
        return None if found is None else self.changed(found)

    @property
    def encodes(self) -> bool:
        """Whether the inner generator encodes and this wrapper can undo its change."""
        return bool(self.inner.encodes) and type(self).undone is not GeneratorWrapper.undone

    def encode(self, stimuli: torch.Tensor) -> torch.Tensor:
        if not self.encodes:
            return super().encode(stimuli)
        check_stimuli(self, stimuli)
        latents: torch.Tensor = self.inner.encode(self.undone(stimuli))
        return latents

    def undone(self, stimuli: torch.Tensor) -> torch.Tensor:
        """Inner stimuli that `changed` turns into approximately the given ones. Override it if
        there are such stimuli; then the wrapper of a generator with an encoder has an encoder.
        """
        raise NotImplementedError

    @abstractmethod
    def changed(self, stimuli: torch.Tensor) -> torch.Tensor:
        """(N, *stimulus_shape) float32 in [0, 1], for stimuli that `inner` rendered."""

    def to(self, device: torch.device | str) -> None:
        """Moves the inner generator."""
        self.inner.to(device)
