"""Bandits: a gradient estimate that is carried on from step to step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch

from blackbox_am.core.optimizer import Proposal, Role
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._incumbents import comparable
from blackbox_am.optimizers._parameters import at_least, positive
from blackbox_am.optimizers._targetwise import norms, row_sums
from blackbox_am.optimizers.attacks._ball import InBall, changes_of, image_of, latents_of

LARGEST_TILES = 50
"""Most tiles in each direction if their number is open: the paper's, for 224 and 299 pixels."""
MEMORY = 0.9
"""Weight of the earlier differences in the size that scales a difference of scores."""
MOST = 20.0
"""Greatest exponent of a step of the prior."""


@dataclass
class BanditsState:
    """State of K attacks.

    Attributes:
        target: (K,) int64, the position of each target in the study.
        change: (K, D) the change about which the next pair lies, in units of the ball.
        prior: (K, T) the estimated gradient on the tiles.
        size: (K,) float64, the mean of the squared differences of scores, later ones with more
            weight.
        moved: (K,) bool, whether the change has moved from the input or the start.
    """

    target: torch.Tensor
    change: torch.Tensor
    prior: torch.Tensor
    size: torch.Tensor
    moved: torch.Tensor


@dataclass(frozen=True)
class Bandits(InBall[BanditsState]):
    """Bandits with time and data priors: each generation measures the change and two rows beside
    it, corrects an estimate of the gradient by the difference of the two scores, and makes a step
    along the sign of the estimate (``linf``) or along the estimate (``l2``).

    Source: A. Ilyas, L. Engstrom and A. Madry, "Prior convictions: black-box adversarial attacks
    with bandits and priors" (ICLR 2019), Algorithms 1 to 3. The estimate v, the prior, is kept from
    step to step, and is equal on each tile. The two rows lie at change + probe * u / |u| for
    u = v + exploration * e and u = v - exploration * e, with Gaussian e of expected norm 1. For
    ``linf`` the prior makes steps of exponentiated gradients on (v + 1) / 2, for ``l2`` plain
    steps.

    This implementation differs in three things. Lengths are shares of the radius, so that they fit
    every ball. The prior moves along the difference of the two rows, cut off by the range of the
    input, and not along e. The difference of the scores is divided by its root mean square so far,
    so that `prior_rate` does not depend on the size of the scores.

    Measured with a ResNet-20 on 20 images of CIFAR-10 (L-inf 8/255, budget 400), 95 % succeed with
    a median of 78.5 queries.

    An input without height and width, such as a series or a row of a table, is one line.

    The space is a box around the input: `perturbation` with ``squash = false`` and the same ball.

    Attributes:
        norm: the ball: `linf` or `l2`.
        tiles: tiles in each direction. None is half the pixels of the shorter side, 50 at most; and
            half the values of a line.
        probe: Euclidean distance of the two rows from the change, as a share of the radius for
            `l2`, and of the radius times the square root of D for `linf`.
        exploration: length of the steps from the prior to the two rows. None is 1 for `linf` and .1
            for `l2`.
        rate: size of a step of the change, as a share of the radius.
        prior_rate: size of a step of the prior: of an exponent, in the mean over the tiles, for
            `linf`; for `l2` a length. None is .03 for `linf` and .05 for `l2`.
    """

    name: ClassVar[str] = "bandits"
    rank_based: ClassVar[bool] = False
    exchangeable: ClassVar[bool] = False
    state_type: ClassVar[type[BanditsState]] = BanditsState

    norm: Literal["linf", "l2"] = "linf"
    tiles: int | None = None
    probe: float = 0.3
    exploration: float | None = None
    rate: float = 0.3
    prior_rate: float | None = None

    def __post_init__(self) -> None:
        at_least(1, "it is a number of tiles", tiles=self.tiles)
        positive(
            probe=self.probe,
            exploration=self.exploration,
            rate=self.rate,
            prior_rate=self.prior_rate,
        )

    def population_size(self, space: Space) -> int:
        del space
        return 3

    def init(self, space: Space, targets: int, stream: Stream) -> BanditsState:
        zeros = torch.zeros(targets, space.dim, dtype=stream.dtype, device=stream.device)
        channels, rows, columns = self._grid(space)
        return BanditsState(
            target=torch.arange(targets, device=stream.device),
            change=zeros,
            prior=zeros.new_zeros(targets, channels * rows * columns),
            size=torch.zeros(targets, dtype=torch.float64, device=stream.device),
            moved=torch.zeros(targets, dtype=torch.bool, device=stream.device),
        )

    def started_at(self, space: Space, state: BanditsState, latents: torch.Tensor) -> BanditsState:
        return replace(state, change=changes_of(space, latents).to(state.change.dtype))

    def ask(self, space: Space, state: BanditsState, stream: Stream) -> Proposal:
        tiles = state.prior.shape[1]
        step = stream.normal(tiles) * (self._exploration() * tiles**-0.5)
        beside = self._spread(space, torch.stack([state.prior + step, state.prior - step], dim=1))
        probe = self.probe * (space.dim**0.5 if self.norm == "linf" else 1.0)
        change = state.change.unsqueeze(1)
        rows = torch.cat([change, change + beside * (probe / _length(beside))], dim=1)
        low, high = self.limits(space, state.target, state.change)
        wanted = torch.ones(rows.shape[:2], dtype=torch.bool, device=rows.device)
        wanted[:, 0] = state.moved
        roles = torch.zeros_like(wanted, dtype=torch.uint8)
        roles[:, 0] = Role.CHECK
        latents = latents_of(space, rows.clamp(low.unsqueeze(1), high.unsqueeze(1)))
        return Proposal(latents, wanted, roles)

    def tell(
        self,
        space: Space,
        state: BanditsState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> BanditsState:
        del gradients
        paired = ~(scores[:, 1].isnan() | scores[:, 2].isnan())
        up, down = (comparable(scores[:, row]) / 2 for row in (1, 2))
        difference = torch.where(paired, up - down, 0.0).clamp(-1e150, 1e150)
        size = torch.where(
            paired,
            torch.where(state.size > 0, MEMORY * state.size + (1 - MEMORY) * difference**2,
                        difference**2),
            state.size,
        )  # fmt: skip
        weight = difference / size.clamp(min=torch.finfo(torch.float64).tiny).sqrt()
        rows = changes_of(space, latents[:, 1:])
        direction = self._gathered(space, rows[:, 0] - rows[:, 1])
        step = direction / _length(direction) * weight.to(direction.dtype).unsqueeze(-1)
        prior = self._corrected(state.prior, step)
        return BanditsState(
            target=state.target,
            change=self._moved(space, state, prior),
            prior=prior,
            size=size,
            moved=torch.ones_like(state.moved),
        )

    def _corrected(self, prior: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        """`prior` (K, T) after a step (K, T), whose norm is that of the weight of the pair."""
        if self.norm == "l2":
            moved = prior + step * (0.05 if self.prior_rate is None else self.prior_rate)
            shorter: torch.Tensor = moved / _length(moved).clamp(min=1)
            return shorter
        rate = 0.03 if self.prior_rate is None else self.prior_rate
        exponent = (step * (rate * prior.shape[1] ** 0.5)).clamp(-MOST, MOST)
        ahead, behind = (1 + prior) * exponent.exp(), (1 - prior) * (-exponent).exp()
        corrected: torch.Tensor = (ahead - behind) / (ahead + behind).clamp(min=1e-20)
        return corrected

    def _moved(self, space: Space, state: BanditsState, prior: torch.Tensor) -> torch.Tensor:
        """(K, D): the change after a step, inside the ball and the range of the input."""
        slope = self._spread(space, prior.unsqueeze(1))[:, 0]
        if self.norm == "linf":
            change = state.change + self.rate * slope.sign()
        else:
            change = state.change + self.rate * slope / _length(slope)
            change = change / _length(change).clamp(min=1)
        low, high = self.limits(space, state.target, change)
        return change.clamp(low, high)

    def _exploration(self) -> float:
        if self.exploration is not None:
            return self.exploration
        return 1.0 if self.norm == "linf" else 0.1

    def _grid(self, space: Space) -> tuple[int, int, int]:
        """Channels, rows and columns of the tiles."""
        channels, height, width = image_of(space)
        if height == 1:
            return channels, 1, min(self.tiles or max(width // 2, 1), width)
        count = self.tiles or max(min(height, width, 2 * LARGEST_TILES) // 2, 1)
        return channels, min(count, height), min(count, width)

    def _places(self, space: Space, device: torch.device) -> torch.Tensor:
        """(D,) int64: the tile of each value."""
        channels, height, width = image_of(space)
        _, rows, columns = self._grid(space)
        channel = torch.arange(channels, device=device)[:, None, None] * (rows * columns)
        row = torch.arange(height, device=device)[:, None] * rows // height * columns
        column = torch.arange(width, device=device) * columns // width
        return (channel + row + column).flatten()

    def _spread(self, space: Space, tiles: torch.Tensor) -> torch.Tensor:
        """(K, P, D) for (K, P, T): every value gets the number of its tile."""
        return tiles[..., self._places(space, tiles.device)]

    def _gathered(self, space: Space, values: torch.Tensor) -> torch.Tensor:
        """(K, T) for (K, D): the mean of the values of each tile."""
        channels, rows, columns = self._grid(space)
        places = self._places(space, values.device)
        order = places.argsort(stable=True)
        _, height, width = image_of(space)
        counts = places.new_zeros(channels * rows * columns)
        counts = counts.scatter_add(0, places, torch.ones_like(places))
        most = -(-height // rows) * -(-width // columns)
        begin = counts.cumsum(0) - counts
        offset = torch.arange(most, device=values.device)
        index = (begin[:, None] + offset).clamp(max=len(order) - 1)
        inside = offset < counts[:, None]
        parts = values[:, order[index]] * inside
        return row_sums(parts) / counts.clamp(min=1)


def _length(rows: torch.Tensor) -> torch.Tensor:
    """(..., 1): Euclidean norms over the last axis, at least a tiny number."""
    return norms(rows).unsqueeze(-1).clamp(min=1e-20)
