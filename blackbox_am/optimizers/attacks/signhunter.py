"""SignHunter: a divide-and-conquer search for the signs of a change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar, Literal

import torch

from blackbox_am.core.constants import Constants
from blackbox_am.core.optimizer import Optimizer
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers.attacks import _squares
from blackbox_am.optimizers.attacks._ball import changes_of, image_of, latents_of
from blackbox_am.optimizers.attacks._one_query import kept


@dataclass
class SignHunterState:
    """State of K attacks.

    Attributes:
        change: (K, D) the best change so far, in units of the ball.
        score: (K,) float64, its score.
        known: (K,) bool, whether there is a score.
        step: (K,) int64, the number of the next flip.
    """

    change: torch.Tensor
    score: torch.Tensor
    known: torch.Tensor
    step: torch.Tensor


@dataclass(frozen=True)
class SignHunter(Optimizer[SignHunterState]):
    """SignHunter: one query a generation, which turns the signs of one part of the best change so
    far; the change is kept if the score does not fall.

    Source: A. Al-Dujaili and U.-M. O'Reilly, "Sign bits are all you need for black-box attacks"
    (ICLR 2020), Algorithm 2. Level 0 turns all signs, level 1 one half of them after the other,
    level h one of 2^h equal parts, until a part is one value; then level 0 begins again. Every
    value changes by the whole radius (``linf``), or by radius / sqrt(D) (``l2``).

    The paper begins with signs of 1 and cuts an image into parts row by row, the channels one after
    the other (`rows`). This implementation differs in three things. It begins with the vertical
    stripes of the square attack. It cuts an image column by column, so that a part is one stripe or
    several. An equal score is accepted. Measured with a ResNet-20 on 30 images of CIFAR-10 (L-inf
    8/255, seed 0), the median number of queries is 7 with stripes and columns, 9.5 with stripes and
    rows, 60 with ones and columns, and 116 with ones and rows.

    An input without height and width, such as a series or a row of a table, is one line: the parts
    are pieces of the line, and `stripes` are random signs.

    The space is a box around the input: `perturbation` with ``squash = false`` and the same ball.

    Attributes:
        norm: the ball: `linf` or `l2`.
        start: the first change: `stripes`, a random sign for each channel and column, or `ones`.
        parts: whether a part of an image is made of `columns` or of `rows` of a channel.
    """

    name: ClassVar[str] = "signhunter"
    state_type: ClassVar[type[SignHunterState]] = SignHunterState
    begins_apart: ClassVar[bool] = True
    spaces: ClassVar[frozenset[str]] = frozenset({"box"})

    norm: Literal["linf", "l2"] = "linf"
    start: Literal["stripes", "ones"] = "stripes"
    parts: Literal["columns", "rows"] = "columns"

    def population_size(self, space: Space) -> int:
        del space
        return 1

    def init(self, space: Space, targets: int, stream: Stream) -> SignHunterState:
        signs = _squares.stripes(image_of(space), stream).flatten(1)
        if self.start == "ones":
            signs = torch.ones_like(signs)
        return SignHunterState(
            change=signs * self._size(space),
            score=torch.zeros(targets, dtype=torch.float64, device=stream.device),
            known=torch.zeros(targets, dtype=torch.bool, device=stream.device),
            step=torch.zeros(targets, dtype=torch.int64, device=stream.device),
        )

    def started_at(
        self, space: Space, state: SignHunterState, latents: torch.Tensor
    ) -> SignHunterState:
        return replace(state, change=changes_of(space, latents).to(state.change.dtype))

    def ask(self, space: Space, state: SignHunterState, stream: Stream) -> torch.Tensor:
        del stream
        turned = torch.where(state.change < 0, 1.0, -1.0).to(state.change) * self._size(space)
        # The first change is measured before a part of it is turned.
        part = self._part(space, state.step) & state.known[:, None]
        return latents_of(space, torch.where(part, turned, state.change)).unsqueeze(1)

    def tell(
        self,
        space: Space,
        state: SignHunterState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> SignHunterState:
        del gradients
        found = kept(state, changes_of(space, latents[:, 0]), scores[:, 0])
        return replace(found, step=state.step + state.known)

    def _size(self, space: Space) -> float:
        """The change of each value, in units of the ball."""
        return 1.0 if self.norm == "linf" else space.dim**-0.5

    def _part(self, space: Space, step: torch.Tensor) -> torch.Tensor:
        """(K, D) bool: the values that flip number `step` (K,) turns."""
        length, count, end = _levels(space.dim).on(step.device)
        within = step % sum(-(-space.dim // n) for n in _lengths(space.dim))
        level = (within[:, None] >= end).sum(1)
        begin = (within - (end - count)[level]) * length[level]
        place = self._places(space, step.device)
        return (place >= begin[:, None]) & (place < (begin + length[level])[:, None])

    def _places(self, space: Space, device: torch.device) -> torch.Tensor:
        """(D,) int64: the place of each value in the order of the parts."""
        channels, height, width = image_of(space)
        places = torch.arange(space.dim, device=device)
        if self.parts == "rows":
            return places
        return places.reshape(channels, width, height).transpose(1, 2).flatten()


@lru_cache(maxsize=64)
def _levels(dim: int) -> Constants:
    """For each level: the length of a part, the number of parts, and the number of parts up to
    the end of the level.
    """
    lengths = torch.tensor(_lengths(dim))
    count = -(-dim // lengths)
    return Constants(lambda: (lengths, count, count.cumsum(0)))


def _lengths(dim: int) -> list[int]:
    """The length of a part at each level, from `dim` to 1."""
    lengths, parts = [dim], 1
    while lengths[-1] > 1:
        parts *= 2
        lengths.append(-(-dim // parts))
    return lengths
