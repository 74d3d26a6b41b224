"""The contract of a generator, a function from latents to stimuli."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch

from blackbox_am.core.identity import Identified
from blackbox_am.core.space import Categorical, Space
from blackbox_am.core.types import OracleInfo
from blackbox_am.errors import CapabilityMissing, InvalidInput, InvalidSpec, ShapeMismatch


class Generator(Identified, ABC):
    """Turns points of its latent space into stimuli for a model.

    A subclass is a frozen dataclass whose fields are its parameters. `space` and
    `stimulus_shape` are known without loading weights.
    """

    study_parameters: ClassVar[frozenset[str]] = frozenset()
    """Parameters that a study can set. The operator can allow others."""
    study_inputs: ClassVar[tuple[str, ...]] = ()
    """Parameters that a study can supply as arrays, such as the images to attack."""

    @property
    def differentiable(self) -> bool:
        """Whether the result of `render` has gradients."""
        return False

    @property
    def licence(self) -> str:
        """Licence of the weights; empty if there are no weights or if the licence is unknown."""
        return ""

    @property
    @abstractmethod
    def space(self) -> Space:
        """The latent space."""

    @property
    @abstractmethod
    def stimulus_shape(self) -> tuple[int, ...]:
        """Shape of one stimulus, such as (3, 32, 32)."""

    @abstractmethod
    def render(self, latents: torch.Tensor) -> torch.Tensor:
        """Stimuli (N, *stimulus) float32 in [0, 1] for latents of shape (N, D).

        A row with nan could not be rendered. It is a failed row, and no oracle measures it. Use
        `bounded` and not `clamp` for values that can be infinite.
        """

    @property
    def targets(self) -> int | None:
        """Number of targets with different inputs, as in a search around K inputs; None: no
        inputs.
        """
        return None

    def render_targets(self, latents: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Render rows of known targets; override both this method and `targets`.

        Args:
            latents: (N, D).
            targets: (N,) int64, the number in its study of each row's target. `render` is the case
                of target 0.
        """
        del targets
        return self.render(latents)

    def references(self, targets: torch.Tensor) -> torch.Tensor | None:
        """The given inputs for rows of targets (N,): (N, *stimulus), or (1, *stimulus) if all rows
        have the same input; None if the generator has no inputs.
        """
        del targets
        return None

    def input_digests(self, targets: int) -> tuple[str, ...]:
        """For each of `targets` targets a digest of its input, which the target's random numbers
        depend on; empty if the generator has no inputs.
        """
        del targets
        return ()

    def latent_limits(self, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
        """For rows of targets (N,) the least and the greatest latents, each (N or 1, D), beyond
        which the range of a stimulus cuts a change off; None where a coordinate has no such limits.
        """
        del targets
        return None

    @property
    def latent_step(self) -> float:
        """The change of a latent coordinate by which a value of the stimulus changes by one of its
        steps, where values of stimuli are rounded; 0 where they are real numbers, or where one
        coordinate is not one value.
        """
        return 0.0

    @property
    def encodes(self) -> bool:
        """Whether the generator has an encoder, the optional method `encode`."""
        return False

    def encode(self, stimuli: torch.Tensor) -> torch.Tensor:
        """(N, D) latents whose stimuli approximate the given ones, for example natural images.

        Latents lie in the space and have its dtype, float32 where that is None; they carry no
        gradients. They approximate as well as the generator can: a part of a stimulus that the
        generator cannot make is lost. A search can begin at them.

        Args:
            stimuli: (N, *stimulus_shape) in [0, 1].

        Raises:
            CapabilityMissing: if the generator has no encoder; `encodes` is then False.
            ShapeMismatch: for stimuli of another shape.
        """
        del stimuli
        raise CapabilityMissing(
            f"this {self.kind} generator has no encoder, so it cannot find latents of given "
            "stimuli; name a generator that encodes, such as pca or diffusers_vae"
        )

    def to(self, device: torch.device | str) -> None:
        """Move the weights to a device. A generator without weights does nothing."""
        del device


def bounded(values: torch.Tensor) -> torch.Tensor:
    """Clip values to [0, 1]; nan and infinities become nan.

    The infinity of a decoder that overflows must not become 1, a bright picture.
    """
    return torch.add(values.clamp(0, 1), values, alpha=0)  # 0 * infinity is nan


def check_stimuli(generator: Generator, stimuli: torch.Tensor) -> None:
    """Check the shape and the dtype of stimuli to encode.

    Raises:
        ShapeMismatch: if they are not floating-point numbers (N, *stimulus_shape).
    """
    shape = tuple(generator.stimulus_shape)
    if tuple(stimuli.shape[1:]) != shape or not stimuli.is_floating_point():
        raise ShapeMismatch(
            f"stimuli: expected floating-point numbers of shape (N, {', '.join(map(str, shape))}) "
            f"for this {generator.kind} generator, got {stimuli.dtype} {tuple(stimuli.shape)}",
            field="stimuli",
        )


def check_targets(generator: Generator, targets: int) -> None:
    """Check that a generator for K targets has K inputs.

    Raises:
        InvalidSpec: if the numbers differ; the message has both.
    """
    if generator.targets not in (None, targets):
        raise InvalidSpec(
            f"this {generator.kind} generator is made for {generator.targets} targets, each with "
            f"its own stimuli, and the study has {targets}; give it as many, or one for all",
            field="targets",
        )


def check_row_targets(generator: Generator, targets: Sequence[int]) -> None:
    """Check the targets of rows to render. A generator without inputs accepts any target.

    Raises:
        InvalidInput: if a target has no input.
    """
    known = generator.targets
    if known is None:
        return
    for target in targets:
        if not 0 <= target < known:
            raise InvalidInput(
                f"targets: this {generator.kind} generator is made for {known} targets, expected "
                f"numbers from 0 to {known - 1}, got {target}; name one of those",
                field="targets",
            )


def check_fit(generator: Generator, info: OracleInfo, making: str, taking: str) -> None:
    """Check that an oracle accepts the stimuli of a generator.

    Args:
        generator: the generator.
        info: the oracle's description.
        making, taking: names of the two in messages.

    Raises:
        ShapeMismatch: if the shapes differ; the message has both shapes and the wrappers that help.
    """
    made, taken = tuple(generator.stimulus_shape), info.stimulus_shape
    if made != taken:
        raise ShapeMismatch(
            f"{making} makes stimuli of shape {made}, {taking} takes {taken}; {_cure(made, taken)}",
            field="generator",
        )


def _cure(made: tuple[int, ...], taken: tuple[int, ...]) -> str:
    """The wrappers of the generator that would make the shapes equal."""
    wraps = []
    if len(made) == len(taken) and len(made) in (2, 3) and made[1:] != taken[1:]:
        wraps.append(f'kind = "resize" and size = {list(taken[1:])}')
    colours = {(3, 1): "grey", (1, 3): "rgb"}
    channels = (made[0], taken[0]) if len(made) == len(taken) == 3 else ()
    if channels in colours:
        wraps.append(f'kind = "colour" and channels = "{colours[channels]}"')
    elif made[:1] != taken[:1]:
        wraps = []
    if not wraps:
        return "name another generator"
    return (
        "put a wrapper around the generator, [[generators.NAME.wrap]] with "
        + ", and another with ".join(wraps)
    )


def check_latent_shape(space: Space, latents: torch.Tensor) -> None:
    """Check shape and dtype of latents (N, D) without reading them from the device."""
    if latents.ndim != 2 or latents.shape[1] != space.dim:
        raise ShapeMismatch(
            f"latents: expected shape (N, {space.dim}), got {tuple(latents.shape)}",
            field="latents",
        )
    wants_codes = isinstance(space, Categorical)
    if wants_codes == latents.is_floating_point():
        expected = "int64 codes" if wants_codes else "floating-point numbers"
        raise ShapeMismatch(f"latents: expected {expected}, got {latents.dtype}", field="latents")


def check_latents(space: Space, latents: torch.Tensor) -> None:
    """Checks latents (N, D) that come from outside: shape, dtype, and every value.

    The check waits for the device, so call it where requests are received, not in a loop.

    Raises:
        ShapeMismatch: for another shape or dtype.
        InvalidInput: for a value that is not finite, or a code out of range.
    """
    check_latent_shape(space, latents)
    if isinstance(space, Categorical):
        bad = (latents < 0) | (latents >= space.spec.categories)
        expected = f"codes 0 to {space.spec.categories - 1}"
    else:
        bad = ~latents.isfinite()
        expected = "finite numbers"
    if bad.any():
        row, column = (int(i) for i in bad.nonzero()[0])
        raise InvalidInput(
            f"latents: expected {expected}, got {latents[row, column].item()} in row {row}, "
            f"coordinate {column}",
            field="latents",
        )
