"""Transformations one after the other, drawn for a position of a study."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import groupby

import torch

from blackbox_am.core.images import center_crop
from blackbox_am.core.rng import position_seed
from blackbox_am.core.transform import Affine, Draw, Drawn, Transform, resampling


@dataclass(frozen=True)
class Position:
    """The place of a batch in its study, for draws that are made anew in each generation.

    Attributes:
        generation: the generation; -1 outside of generations, for natural images and tests.
        rows: for each row of the batch the number of its own draws. None if all rows have the same
            draws, with which they can be compared.
    """

    generation: int = -1
    rows: tuple[int, ...] | None = None

    def only(self, chosen: torch.Tensor) -> Position:
        """The position of the rows of a batch for which `chosen` (N,) bool is true."""
        if self.rows is None:
            return self
        pairs = zip(self.rows, chosen.tolist(), strict=False)  # behind the rows there is padding
        return Position(self.generation, tuple(row for row, good in pairs if good))


OUTSIDE = Position()
RECHECK = 2**31 - 1
"""The generation of the draws of every re-check, behind the end of every schedule. A re-check
begins after the last target of the study has ended, and its draws must not depend on the others.
"""
_position: ContextVar[Position] = ContextVar("position")


@contextmanager
def drawn_at(position: Position) -> Iterator[None]:
    """Inside this context, oracles draw the transformations of `position`."""
    token = _position.set(position)
    try:
        yield
    finally:
        _position.reset(token)


def position() -> Position:
    """The position of the batch that is observed."""
    return _position.get(OUTSIDE)


@dataclass(frozen=True)
class Chain:
    """Transformations that are applied one after the other.

    The changed canvas is cut back to the size of the stimulus in its middle, and its values to
    [0, 1], the values that an oracle accepts.

    Attributes:
        transforms: in the order of their application.
        seed: of all draws.
        clip: whether values are cut to [0, 1] at the end.
        purpose: keeps the draws of different uses with the same seed apart.
    """

    transforms: tuple[Transform, ...]
    seed: int = 0
    clip: bool = True
    purpose: str = "transform"

    def check(self, stimulus_shape: tuple[int, ...]) -> None:
        """Check that every transformation can change stimuli of this shape.

        Raises:
            InvalidSpec: if one cannot.
        """
        for transform in self.transforms:
            transform.check(stimulus_shape)

    def draw(self, stimulus_shape: tuple[int, ...], generation: int, copy: int) -> Drawn:
        """The change of stimuli (N, *stimulus_shape) at a position.

        Its random numbers follow from the seed, the generation, the copy and the place of each
        transformation in the chain.

        Args:
            stimulus_shape: (channels, height, width) or (channels, length).
            generation: 0 or above; -1 outside of generations.
            copy: number of the copy of the stimulus.
        """
        channels, *size = stimulus_shape
        height, width = size if len(size) == 2 else (1, *size)
        steps = self._steps(channels, height, width, generation, copy)

        def change(stimuli: torch.Tensor) -> torch.Tensor:
            values = stimuli if stimuli.dtype == torch.float64 else stimuli.to(torch.float32)
            canvas = values.reshape(len(values), channels, height, width)
            for step in steps:
                canvas = step(canvas)
            shown = center_crop(canvas, (height, width)).reshape(values.shape)
            return shown.clamp(0, 1) if self.clip else shown

        return change

    def _steps(
        self, channels: int, height: int, width: int, generation: int, copy: int
    ) -> list[Drawn]:
        steps: list[Drawn] = []
        numbered = list(enumerate(self.transforms))
        for fill, group in groupby(numbered, key=lambda item: _fill(item[1])):
            joined = torch.eye(3, dtype=torch.float64)
            for place, transform in group:
                seed = position_seed(self.seed, f"{self.purpose}|{place}", generation, copy)
                numbers = torch.Generator().manual_seed(seed)
                draw = Draw(channels, height, width, numbers, generation)
                if isinstance(transform, Affine):
                    joined = transform.matrix(draw).mm(joined)
                else:
                    steps.append(transform.draw(draw))
                height, width = transform.size_after(height, width)
            if fill is not None:
                steps.append(resampling(joined, height, width, fill))
        return steps


def _fill(transform: Transform) -> float | None:
    """The value by which affine transformations are grouped; None for other transformations."""
    return transform.fill if isinstance(transform, Affine) else None
