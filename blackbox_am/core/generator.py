"""The contract of a generator: latents in, stimuli out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch

from blackbox_am.core.identity import Identified
from blackbox_am.core.space import Categorical, Space
from blackbox_am.core.types import OracleInfo
from blackbox_am.errors import InvalidInput, InvalidSpec, ShapeMismatch


class Generator(Identified, ABC):
    """Turns points of its latent space into stimuli a model can see.

    A subclass is a frozen dataclass whose fields are its parameters. `space` and
    `stimulus_shape` are known without loading weights.
    """

    study_parameters: ClassVar[frozenset[str]] = frozenset()
    """Parameters that a study may set by itself. The operator may allow it others."""
    study_inputs: ClassVar[tuple[str, ...]] = ()
    """Parameters that a study may bring as arrays, such as the images to attack."""

    @property
    def differentiable(self) -> bool:
        """Whether `render` carries gradients."""
        return False

    @property
    def licence(self) -> str:
        """Terms of its weights; empty where it has none, or where nobody says."""
        return ""

    @property
    @abstractmethod
    def space(self) -> Space:
        """Where its latents live."""

    @property
    @abstractmethod
    def stimulus_shape(self) -> tuple[int, ...]:
        """Shape of one stimulus, such as (3, 32, 32)."""

    @abstractmethod
    def render(self, latents: torch.Tensor) -> torch.Tensor:
        """(N, *stimulus) float32 in [0, 1], for latents of shape (N, D).

        A row that could not be rendered has nan, and is a failed row: nobody measures it. Use
        `bounded`, not `clamp`, for values that may be infinite.
        """

    @property
    def targets(self) -> int | None:
        """How many targets it tells apart, as a search around K inputs does; None: none."""
        return None

    def render_targets(self, latents: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """As `render`, for rows of known targets; override both this and `targets`.

        Args:
            latents: (N, D).
            targets: (N,) int64, the number in its study of each row's target. `render` alone
                means target 0.
        """
        del targets
        return self.render(latents)

    def references(self, targets: torch.Tensor) -> torch.Tensor | None:
        """The inputs that it works around, for rows of targets (N,): (N, *stimulus) or, where
        all rows have the same, (1, *stimulus); None where it works around none.
        """
        del targets
        return None

    def to(self, device: torch.device | str) -> None:
        """Moves its weights. A generator without weights does nothing."""
        del device


def bounded(values: torch.Tensor) -> torch.Tensor:
    """Values cut off at 0 and 1; nan and infinities are nan afterwards.

    A decoder that overflows makes no bright picture, so its infinity must not become 1.
    """
    return torch.add(values.clamp(0, 1), values, alpha=0)  # 0 * infinity is nan


def check_targets(generator: Generator, targets: int) -> None:
    """Checks that a generator made for K targets has K of them.

    Raises:
        InvalidSpec: saying both numbers.
    """
    if generator.targets not in (None, targets):
        raise InvalidSpec(
            f"this {generator.kind} generator is made for {generator.targets} targets, each with "
            f"its own stimuli, and the study has {targets}; give it as many, or one for all",
            field="targets",
        )


def check_row_targets(generator: Generator, targets: Sequence[int]) -> None:
    """Checks the targets of rows that a generator is to render. One that tells no targets apart
    takes any.

    Raises:
        InvalidInput: for a target that it was not made for.
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
    """Checks that an oracle takes the stimuli that a generator makes.

    Args:
        generator: makes them.
        info: what the oracle says of itself.
        making, taking: what to call the two.

    Raises:
        ShapeMismatch: saying both shapes, and which wrappers make them fit.
    """
    made, taken = tuple(generator.stimulus_shape), info.stimulus_shape
    if made != taken:
        raise ShapeMismatch(
            f"{making} makes stimuli of shape {made}, {taking} takes {taken}; {_cure(made, taken)}",
            field="generator",
        )


def _cure(made: tuple[int, ...], taken: tuple[int, ...]) -> str:
    """What to put around the generator, where that helps."""
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
    """Checks shape and dtype of latents (N, D), at no cost to the device.

    Raises:
        ShapeMismatch: saying what was expected and what came.
    """
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

    It waits for the device, so it belongs at the edge of the service, not in a loop.

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
