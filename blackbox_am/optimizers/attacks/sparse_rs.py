"""Sparse-RS: random search for few pixels, each with a new colour."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from blackbox_am.core.constants import Constants
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._parameters import at_least, share
from blackbox_am.optimizers.attacks import _squares
from blackbox_am.optimizers.attacks._ball import changes_of, image_of, latents_of
from blackbox_am.optimizers.attacks._one_query import (
    Incumbent,
    InSparseBall,
    begun,
    in_schedule,
    kept,
)

EDGES = (50, 200, 500, 1_000, 2_000, 4_000, 6_000, 8_000)
"""Queries of a budget of 10,000 after which the share of exchanged pixels falls."""
DIVISORS = (2, 4, 5, 6, 8, 10, 12, 15, 20)
"""Divisors of the first share, one before each of the edges and one behind the last."""
_SCHEDULE = Constants(lambda: (torch.tensor(EDGES), torch.tensor(DIVISORS)))


@dataclass(frozen=True)
class SparseRs(InSparseBall):
    """Sparse-RS: one query a generation, which exchanges some of the changed pixels of the best
    change so far for others; the change is kept if the score does not fall.

    Source: F. Croce, M. Andriushchenko, N. D. Singh, N. Flammarion and M. Hein, "Sparse-RS: a
    versatile framework for query-efficient sparse black-box adversarial attacks" (AAAI 2022), the
    attack on `pixels` pixels. Every changed pixel has a random corner of the colour cube. The share
    of the pixels that are exchanged falls from `share` / 2 to `share` / 20 by the paper's schedule,
    which is scaled to the study's budget; at least one pixel is exchanged.

    This implementation differs in two things. An equal score is accepted. If every pixel is
    chosen, a pixel that would be exchanged gets the opposite colour.

    The space is the box of `perturbation` with ``squash = false``, ``ball = "l0"`` and a radius of
    `pixels`. Places of a series or of a row of a table are its values.

    Attributes:
        pixels: number of pixels that change.
        share: alpha, twice the first share of exchanged pixels: .3 in the paper, and .1 for
            targeted attacks.
        budget: queries of the schedule; the study's budget if None.
    """

    name: ClassVar[str] = "sparse_rs"

    pixels: int = 24
    share: float = 0.3
    budget: int | None = None

    def __post_init__(self) -> None:
        at_least(1, "an attack changes a pixel", pixels=self.pixels)
        at_least(1, "the schedule is a share of it", budget=self.budget)
        share(share=self.share)

    def init(self, space: Space, targets: int, stream: Stream) -> Incumbent:
        channels, height, width = image_of(space)
        order = stream.uniform(height * width).argsort(dim=1, stable=True)
        chosen = order.argsort(dim=1) < self.pixels
        colours = _squares.signs(stream, channels, height * width)
        return begun((colours * chosen[:, None]).flatten(1), targets, stream)

    def started_at(self, space: Space, state: Incumbent, latents: torch.Tensor) -> Incumbent:
        return replace(state, change=changes_of(space, latents).to(state.change.dtype))

    def ask(self, space: Space, state: Incumbent, stream: Stream) -> torch.Tensor:
        exchanged = self._exchanged(space, state, stream)
        # The first change is measured before it is changed.
        change = torch.where(state.known[:, None], exchanged, state.change)
        return latents_of(space, change).unsqueeze(1)

    def tell(
        self,
        space: Space,
        state: Incumbent,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> Incumbent:
        del gradients
        change = _clean(changes_of(space, latents[:, 0]))
        return replace(kept(state, change, scores[:, 0]), queries=state.queries + 1)

    def _exchanged(self, space: Space, state: Incumbent, stream: Stream) -> torch.Tensor:
        """(K, D): the best change with some pixels given up and as many others chosen."""
        channels, height, width = image_of(space)
        places = height * width
        change = state.change.reshape(-1, channels, places)
        chosen = (change != 0).any(1)
        lot = stream.uniform(places).to(torch.float64)
        count = self._count(chosen, state.queries)[:, None]
        # Ranks among the chosen pixels, and among the others; each has the other set behind it.
        given_up = chosen & (_ranks(lot + ~chosen) < count)
        found = ~chosen & (_ranks(lot + chosen) < count)
        colours = _squares.signs(stream, channels, places)
        full = chosen.all(1)[:, None, None]
        moved = torch.where(given_up[:, None], torch.zeros_like(change), change)
        moved = torch.where(found[:, None], colours, moved)
        # Where every pixel is chosen, the one that is given up gets the opposite colour.
        moved = torch.where(full & given_up[:, None], -change, moved)
        return moved.flatten(1)

    def _count(self, chosen: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """(K,) int64: how many pixels are exchanged."""
        scaled = in_schedule(queries, self.budget)
        edges, divisor = _SCHEDULE.on(queries.device)
        part = self.share / divisor[(scaled[:, None] > edges).sum(1)]
        many = chosen.sum(1)
        count = (part * many).floor().to(torch.int64).clamp(min=1)
        return torch.minimum(count, (chosen.shape[1] - many).clamp(min=1))


def _ranks(lots: torch.Tensor) -> torch.Tensor:
    """(K, N) int64: the rank of each number in its row, from 0."""
    return lots.argsort(dim=1, stable=True).argsort(dim=1)


def _clean(change: torch.Tensor) -> torch.Tensor:
    """`change` with exact zeros: bounds that are not -1 and 1 leave rounding errors there."""
    return torch.where(change.abs() < 1e-3, torch.zeros_like(change), change)
