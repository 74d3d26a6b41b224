"""Square attack: random search with square changes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch

from blackbox_am.core.constants import Constants
from blackbox_am.core.optimizer import Optimizer, SearchContext
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._parameters import at_least, share
from blackbox_am.optimizers._targetwise import norms
from blackbox_am.optimizers.attacks import _squares
from blackbox_am.optimizers.attacks._ball import InBall, changes_of, image_of, latents_of
from blackbox_am.optimizers.attacks._one_query import in_schedule, kept

HALVINGS = (10, 50, 200, 500, 1_000, 2_000, 4_000, 6_000, 8_000)
"""Queries of a budget of 10,000 after which the squares' share of the input halves."""
_EDGES = Constants(lambda: (torch.tensor(HALVINGS),))

TURNS = 0.4
"""The share of proposals that turn columns in the Euclidean ball."""
LAST_TURN = 200
"""Queries after which no columns are turned: stripes are found early, if they are found."""


@dataclass
class SquareState:
    """State of K attacks.

    Attributes:
        target: (K,) int64, the position of each target in the study.
        change: (K, D) the best change so far, in units of the ball.
        score: (K,) float64, its score.
        known: (K,) bool, whether there is a score.
        queries: (K,) int64, generations told.
    """

    target: torch.Tensor
    change: torch.Tensor
    score: torch.Tensor
    known: torch.Tensor
    queries: torch.Tensor


@dataclass(frozen=True)
class Square(InBall[SquareState]):
    """Square attack: one query a generation, which changes the best change so far in a square
    window of random place; the change is kept if the score does not fall.

    Source: M. Andriushchenko, F. Croce, N. Flammarion and M. Hein, "Square Attack: a
    query-efficient black-box adversarial attack via random search" (ECCV 2020), Algorithms 1 to 3.
    ``linf``: the first change is a vertical stripe of -1 or 1 for each column and channel; a
    proposal sets one value, -1 or 1, for each channel of the window. ``l2``: the first change is a
    grid of tiles, each a pair of pyramids of opposite sign; a proposal moves the energy of two
    windows into a new pair of pyramids in the first. The window's share of the input starts at
    `share` and halves at the paper's queries, which are scaled to the study's budget for ``linf``.

    Where the generator knows what the range of the input cuts off (`perturbation` does), changes
    are cut off before they are compared and before their energy is measured, as in the paper. This
    implementation differs in three things. An equal score is accepted. An input without height and
    width, such as a series or a row of a table, is one line, and windows are parts of the line.
    ``l2`` has stripes too: it begins with stripes of equal energy unless `start` is `tiles`, every
    column of a new pair of pyramids has a sign of its own unless `texture` is `plain`, and a share
    `turns` of the first 200 proposals turns the signs of whole columns. The paper's attack is
    `tiles`, `plain` and 0. Measured with a ResNet-20 on CIFAR-10 (L2 1.0): on 30 images the median
    is 108.5 queries as in the paper, 83.5 with stripes at the start, and 64 with striped pyramids;
    on 60 others, all of which succeed, it is 86 without turns and 81.5 with them (budget 2,000).

    A targeted attack needs another score and another schedule: maximise the `cross_entropy` with
    ``budget = 10000, share = .1, aspect = 16``. Measured on 20 images (L-inf 8/255, budget 800, the
    class after the true one), 100 % succeed with a median of 280.5 queries; 90 % and 353 with
    squares and a share of .05.

    The space is a box around the input: `perturbation` with ``squash = false`` and the same ball.

    Attributes:
        norm: the ball: `linf` or `l2`.
        start: the first change for `l2`: `stripes` or the paper's `tiles`; `linf` has stripes.
        texture: the pyramids of `l2`: `stripes`, a random sign for each column and channel, or the
            paper's `plain`, a random sign for each channel. `linf`, and a line, have plain windows.
        share: p, the window's share of the input at first. None is the paper's: .05 for `linf`, .1
            for `l2`. On models that were trained against attacks, .3 (CIFAR) and .8 are better.
        aspect: greatest ratio of the longer side of a window to the shorter side for `linf`; 1 is
            the paper's, whose windows are squares.
        turns: share of the first 200 proposals that, instead of a new window, turn the signs of
            neighbouring columns of one channel, as many as a window is wide. None is 0 for `linf`
            and .4 for `l2`. A line has none.
        budget: queries of the schedule. None is the study's budget for `linf`, and the paper's
            10,000 for `l2`.
    """

    name: ClassVar[str] = "square"
    state_type: ClassVar[type[SquareState]] = SquareState
    begins_apart: ClassVar[bool] = True

    norm: Literal["linf", "l2"] = "linf"
    start: Literal["stripes", "tiles"] = "stripes"
    texture: Literal["stripes", "plain"] = "stripes"
    share: float | None = None
    aspect: float = 1.0
    turns: float | None = None
    budget: int | None = None

    def __post_init__(self) -> None:
        share(share=self.share, turns=self.turns)
        if not 1 <= self.aspect < math.inf:
            raise ValueError(
                f"aspect must be 1 or more and finite, since it is the longer side of a window "
                f"over the shorter side; got {self.aspect}"
            )
        at_least(1, "the schedule is a share of it", budget=self.budget)

    def population_size(self, space: Space) -> int:
        del space
        return 1

    def resolve(self, space: Space, context: SearchContext) -> Optimizer[Any]:
        del space
        if self.budget or self.norm == "l2":
            return self
        return replace(self, budget=context.queries_per_target)

    def init(self, space: Space, targets: int, stream: Stream) -> SquareState:
        striped = self.norm == "linf" or self.start == "stripes"
        first = _squares.stripes if striped else _squares.tiles
        target = torch.arange(targets, device=stream.device)
        change = first(image_of(space), stream).flatten(1)
        if self.norm == "l2":
            change = change / norms(change).unsqueeze(-1)
        return SquareState(
            target=target,
            change=self._cut(space, target, change),
            score=torch.zeros(targets, dtype=torch.float64, device=stream.device),
            known=torch.zeros(targets, dtype=torch.bool, device=stream.device),
            queries=torch.zeros(targets, dtype=torch.int64, device=stream.device),
        )

    def started_at(self, space: Space, state: SquareState, latents: torch.Tensor) -> SquareState:
        change = changes_of(space, latents).to(state.change.dtype)
        return replace(state, change=self._cut(space, state.target, change))

    def ask(self, space: Space, state: SquareState, stream: Stream) -> torch.Tensor:
        image = image_of(space)
        best = state.change.reshape(-1, *image)
        side = self._side(image, state.queries)
        if self.norm == "linf":
            limits = self.limits(space, state.target, best.flatten(1))
            proposed = _squares.painted(
                best, side, stream, tuple(x.reshape(-1, *image) for x in limits), self.aspect
            )
        else:
            proposed = _squares.moved(best, side, stream, striped=self.texture == "stripes")
        turns = self.turns if self.turns is not None else (0.0 if self.norm == "linf" else TURNS)
        if turns and image[1] > 1:
            part = turns * (state.queries <= LAST_TURN)
            proposed = _squares.turned_columns(best, proposed, side, part, stream)
        proposed = proposed.flatten(1)
        if self.norm == "l2":  # turned columns too have the whole energy of the ball
            proposed = proposed / norms(proposed).unsqueeze(-1).clamp(min=1e-20)
        # The first change is measured before it is changed.
        change = torch.where(state.known[:, None], proposed, state.change)
        return latents_of(space, change).unsqueeze(1)

    def tell(
        self,
        space: Space,
        state: SquareState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> SquareState:
        del gradients
        change = self._cut(space, state.target, changes_of(space, latents[:, 0]))
        return replace(kept(state, change, scores[:, 0]), queries=state.queries + 1)

    def _cut(self, space: Space, target: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
        """`change` (K, D) without the part that the range of the input cuts off."""
        low, high = self.limits(space, target, change)
        return change.clamp(low, high)

    def _side(self, image: tuple[int, int, int], queries: torch.Tensor) -> torch.Tensor:
        """(K,) int64: the side of the window of each target."""
        _, height, width = image
        scaled = in_schedule(queries, self.budget)
        (edges,) = _EDGES.on(queries.device)
        halvings = (scaled[:, None] > edges).sum(1)
        first = self.share if self.share is not None else (0.05 if self.norm == "linf" else 0.1)
        part = first / 2.0**halvings
        if height == 1:
            side, most = (part * width).round(), width - 1
        else:
            side, most = (part * height * width).sqrt().round(), min(height, width) - 1
        if self.norm == "l2":
            side = side.clamp(min=3)
            side = side + (side % 2 == 0)
        return side.clamp(1, max(most, 1)).to(torch.int64)
