"""Ascents along gradients that are estimated from scores."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

import torch

from blackbox_am.core import state as states
from blackbox_am.core.optimizer import Optimizer, Proposal, SearchContext
from blackbox_am.core.parameters import parameters_of
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.errors import InvalidSpec
from blackbox_am.optimizers._frame import frame_of
from blackbox_am.optimizers._incumbents import comparable
from blackbox_am.optimizers._parameters import at_least, positive
from blackbox_am.optimizers._targetwise import weighted_sum
from blackbox_am.optimizers.gradient._ascents import Ascents
from blackbox_am.optimizers.gradient.adam import Adam
from blackbox_am.optimizers.gradient.dgn_am import DgnAm
from blackbox_am.optimizers.gradient.langevin import Langevin
from blackbox_am.optimizers.gradient.nadam import Nadam
from blackbox_am.optimizers.gradient.sgd import Sgd

Inner = Literal["adam", "nadam", "sgd", "dgn_am", "langevin"]
"""Optimizers of order 1 that follow the estimate."""

ASCENTS: dict[str, type[Ascents[Any]]] = {
    each.name: each for each in (Adam, Nadam, Sgd, DgnAm, Langevin)
}

FEW_STEPS: dict[str, Any] = {"population": 1, "learning_rate": 0.2}
"""Parameters of the inner optimizer that are not given."""


@dataclass
class EstimatedGradientState:
    """State of K searches.

    Attributes:
        inner: the tensors of the inner state.
    """

    inner: dict[str, torch.Tensor]


@dataclass(frozen=True)
class EstimatedGradient(Optimizer[EstimatedGradientState]):
    """Runs an optimizer of order 1 where no gradients exist: it measures random directions around
    the position of each ascent, and hands the estimate of the gradient to the optimizer inside.
    The same update rule so runs with true and with estimated gradients.

    Sources: Y. Nesterov and V. Spokoiny, "Random Gradient-Free Minimization of Convex Functions"
    (Foundations of Computational Mathematics, 2017), equations 22 to 26, for both forms; D.
    Wierstra et al., "Natural Evolution Strategies" (JMLR 2014), section 2, for the same estimate as
    a gradient of the mean score about x. For n Gaussian directions u, in coordinates in which the
    prior has deviation 1:

        antithetic:  g = mean of (f(x + sigma u) - f(x - sigma u)) u / (2 sigma)
        otherwise:   g = mean of (f(x + sigma u) - f(x)) u / sigma

    The cosine of g with the gradient of a linear score is about sqrt(n / (n + D + 1)); the
    antithetic form has the same cosine on a quadratic, whose curvature cancels.

    Differences: the directions are those between the rows as measured, after the space has moved
    them between its bounds or onto its sphere. A pair of which a row failed is left out; an ascent
    without any pair stays where it is. The score of an ascent is that of its position, or, where
    that is not measured, the mean of its pairs. An ascent of the inner optimizer costs 2 `samples`
    rows a step, and 1 + `samples` where not antithetic.

    Attributes:
        inner: the optimizer inside: `adam`, `nadam`, `sgd`, `dgn_am` or `langevin`.
        inner_parameters: its parameters; population 1 and learning_rate 0.2 unless given. A step
            costs many rows, so there are few steps, and one ascent with large steps does better
            than several.
        samples: n, directions around each position and step. With 1,000 rows in 759 dimensions, 5
            found more than 10, and 10 more than 20, in the sum over three units: more steps are
            worth more than better ones.
        sigma: standard deviation of the directions in each coordinate, in deviations of the prior.
        antithetic: whether each direction is measured on both sides.
    """

    name: ClassVar[str] = "estimated_gradient"
    copies: ClassVar[int] = 6
    rank_based: ClassVar[bool] = False
    exchangeable: ClassVar[bool] = False
    state_type: ClassVar[type[EstimatedGradientState]] = EstimatedGradientState

    inner: Inner = "adam"
    inner_parameters: dict[str, Any] = field(default_factory=dict)
    samples: int = 5
    sigma: float = 0.3
    antithetic: bool = True

    def __post_init__(self) -> None:
        at_least(1, "a gradient needs a difference", samples=self.samples)
        positive(sigma=self.sigma)
        _ = self.ascents  # so that its parameters are checked now

    @cached_property
    def ascents(self) -> Ascents[Any]:
        """The optimizer inside."""
        return parameters_of(
            ASCENTS[self.inner], self.inner, {**FEW_STEPS, **self.inner_parameters}
        )

    @property
    def probes(self) -> int:
        """Rows around the position of an ascent."""
        return self.samples * (2 if self.antithetic else 1)

    def population_size(self, space: Space) -> int:
        """Each ascent has its position, which is a masked row where antithetic, and its probes."""
        return self.ascents.population_size(space) * (1 + self.probes)

    def check(self, space: Space) -> None:
        super().check(space)
        self.ascents.check(space)

    def resolve(self, space: Space, context: SearchContext) -> Self:
        measured = self.probes + (0 if self.antithetic else 1)
        steps = max(context.queries_per_target // measured, 1)
        try:
            inner = self.ascents.resolve(space, replace(context, queries_per_target=steps))
        except InvalidSpec as error:
            raise InvalidSpec(
                f"{self.name}: a budget of {context.queries_per_target} queries a target is enough "
                f"for {steps} steps of {measured} queries; {error}",
                field="optimizer.parameters.inner_parameters",
            ) from error
        return replace(self, inner_parameters={**self.inner_parameters, "steps": inner.steps})

    def init(self, space: Space, targets: int, stream: Stream) -> EstimatedGradientState:
        return EstimatedGradientState(states.arrays(self.ascents.init(space, targets, stream)))

    def started_at(
        self, space: Space, state: EstimatedGradientState, latents: torch.Tensor
    ) -> EstimatedGradientState:
        inner = self.ascents.started_at(space, self._unpacked(state), latents)
        return EstimatedGradientState(states.arrays(inner))

    def center(self, space: Space, state: EstimatedGradientState) -> torch.Tensor:
        return self.ascents.center(space, self._unpacked(state))

    def ask(self, space: Space, state: EstimatedGradientState, stream: Stream) -> Proposal:
        # The directions are drawn first: whether the ascents draw depends on all targets.
        ascents = self.ascents.population_size(space)
        moves = self.sigma * stream.normal(ascents, self.samples, space.dim)
        if self.antithetic:  # in pairs, of which the end of a budget cuts off one at most
            moves = torch.stack([moves, -moves], dim=3).flatten(2, 3)
        here = space.project(self.ascents.ask(space, self._unpacked(state), stream))
        frame = frame_of(space, here)
        around = frame.outward(frame.inward(here).unsqueeze(2) + moves)
        rows = torch.cat([here.unsqueeze(2), around], dim=2)
        wanted = torch.ones(rows.shape[:3], dtype=torch.bool, device=rows.device)
        wanted[:, :, 0] = not self.antithetic
        return Proposal(rows.flatten(1, 2), wanted.flatten(1, 2))

    def tell(
        self,
        space: Space,
        state: EstimatedGradientState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> EstimatedGradientState:
        del gradients
        shape = (len(scores), -1, 1 + self.probes)
        rows, told = latents.view(*shape, space.dim), scores.view(shape)
        frame = frame_of(space, latents)
        slopes, smoothed = self.estimate(frame.inward(rows), told)
        score = torch.where(told[:, :, 0].isnan(), smoothed, told[:, :, 0])
        inner = self.ascents.tell(
            space, self._unpacked(state), rows[:, :, 0], score, slopes / frame.scale
        )
        return EstimatedGradientState(states.arrays(inner))

    def estimate(
        self, rows: torch.Tensor, scores: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The gradients at the positions of the ascents, from one generation.

        Args:
            rows: (K, ascents, 1 + probes, D) in the frame: a position, then its probes.
            scores: (K, ascents, 1 + probes), nan for rows that failed or were masked out.

        Returns:
            The estimates (K, ascents, D), nan for ascents without any difference, and the mean
            scores (K, ascents) of the probes in a difference.
        """
        if self.antithetic:
            moves = (rows[:, :, 1::2] - rows[:, :, 2::2]) / 2
            up, down = scores[:, :, 1::2], scores[:, :, 2::2]
        else:
            moves = rows[:, :, 1:] - rows[:, :, :1]
            up, down = scores[:, :, 1:], scores[:, :, :1].expand(-1, -1, self.samples)
        known = ~(up.isnan() | down.isnan())
        halves = comparable(up) / 2, comparable(down) / 2
        count = known.sum(-1)
        share = torch.where(known, 1 / count.clamp(min=1).double().unsqueeze(-1), 0.0)
        width = self.sigma**2 * (1 if self.antithetic else 0.5)
        weights = share * (halves[0] - halves[1]) / width
        flat = weights.flatten(0, 1).to(rows.dtype), moves.flatten(0, 1)
        slopes = weighted_sum(*flat).view(*rows.shape[:2], rows.shape[-1])
        missing = torch.where(count == 0, torch.nan, 0.0)
        mean = (share * (halves[0] + halves[1])).sum(-1) + missing
        return slopes + missing.to(slopes.dtype).unsqueeze(-1), mean

    def _unpacked(self, state: EstimatedGradientState) -> Any:
        """The inner state."""
        return states.build(self.ascents.state_type, state.inner)
