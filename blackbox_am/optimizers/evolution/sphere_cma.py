"""Evolution on a sphere: steps along great circles, by angles that shrink on schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch

from blackbox_am.core.optimizer import Optimizer, SearchContext
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._frame import frame_of
from blackbox_am.optimizers._parameters import at_least, positive
from blackbox_am.optimizers._targetwise import norms, row_sums, weighted_sum
from blackbox_am.optimizers._weights import rank
from blackbox_am.optimizers.evolution._start import first_mean

HORIZON = 75
"""The horizon in generations if the length of the search is unknown: the value of the paper."""

START_ANGLE = 0.5
"""Factor on the angles of the schedule in a search that begins at given latents."""


@dataclass
class SphereCMAState:
    """State of K searches, on the unit sphere.

    Attributes:
        centre: (K, D) of length 1.
        radius: (K,) of the sphere, in the frame of the space.
        started: (K,) bool: whether a generation has been learnt from, or a start was given.
        angle: (K,) factor on the angles of the schedule: 1, or less where a start was given.
        generation: (K,) int64, generations told.
    """

    centre: torch.Tensor
    radius: torch.Tensor
    started: torch.Tensor
    angle: torch.Tensor
    generation: torch.Tensor


@dataclass(frozen=True)
class SphereCMA(Optimizer[SphereCMAState]):
    """A population on a sphere around a centre, which moves along the great circle towards the
    weighted mean of the better half. The angle to the centre shrinks over a fixed horizon, by
    default the study's budget.

    For spaces where the length of a latent carries little information: spheres, and normal spaces,
    where the length of every sample is about sqrt(D).

    Source: B. Wang and C. R. Ponce, "High-Performance Evolutionary Algorithms for Online Neuron
    Control" (GECCO 2022), the spherical CMA-ES with its exponential, linear and inverse
    schedules. Like the source, this implementation learns no covariance. The first generation is
    drawn evenly from the sphere; in later ones row 0 is the centre itself, measured but not ranked.
    This implementation differs in three things: the centre counts as one of the population; great
    circles are computed in the basis of the centre and the direction perpendicular to the centre,
    which needs no division by the sine of an angle that may be 0; rows may be missing, see
    `_weights`.

    Attributes:
        population: candidates a generation, at least 3, the centre among them.
        learning_rate: how far along the arc to the weighted mean the centre moves; above 1 it
            goes beyond.
        horizon: generations over which the angle shrinks; its last value is held afterwards.
            Where None, as many as the study's budget lasts, or 75 outside of a study.
        schedule: `exp` shrinks the angle by equal factors, `lin` by equal amounts, `inv` as
            15 + 1 / (0.0017 g + 0.0146) degrees, g running from 0 to 74 over the horizon.
        first_angle: degrees at the start, for `exp` and `lin`.
        last_angle: degrees at the horizon, for `exp` and `lin`.
        radius_scale: in a normal space, the sphere's radius over sqrt(D). A sphere has its own.
    """

    name: ClassVar[str] = "sphere_cma"
    copies: ClassVar[int] = 10
    exchangeable: ClassVar[bool] = False
    spaces: ClassVar[frozenset[str]] = frozenset({"normal", "sphere"})
    state_type: ClassVar[type[SphereCMAState]] = SphereCMAState

    population: int = 40
    learning_rate: float = 1.5
    horizon: int | None = None
    schedule: Literal["exp", "lin", "inv"] = "exp"
    first_angle: float = 50.0
    last_angle: float = 7.33
    radius_scale: float = 1.0

    def __post_init__(self) -> None:
        at_least(3, "one row is the centre and one cannot be ranked", population=self.population)
        at_least(1, "it counts generations", horizon=self.horizon)
        positive(
            learning_rate=self.learning_rate,
            first_angle=self.first_angle,
            last_angle=self.last_angle,
            radius_scale=self.radius_scale,
        )
        for name in ("first_angle", "last_angle"):
            value = getattr(self, name)
            if value > 180:
                raise ValueError(f"{name} must be at most 180 degrees, got {value}")

    def population_size(self, space: Space) -> int:
        del space
        return self.population

    def resolve(self, space: Space, context: SearchContext) -> SphereCMA:
        del space
        lasts = math.ceil(context.queries_per_target / self.population)
        return self if self.horizon is not None else replace(self, horizon=lasts)

    def center(self, space: Space, state: SphereCMAState) -> torch.Tensor:
        point = state.radius.unsqueeze(-1) * state.centre
        return space.project(frame_of(space, point).outward(point))

    def started_at(
        self, space: Space, state: SphereCMAState, latents: torch.Tensor
    ) -> SphereCMAState:
        """The search goes on at the distance of `latents` (K, D) from the prior's mean, with angles
        that are `START_ANGLE` times those of the schedule.
        """
        points = frame_of(space, state.centre).inward(latents.to(state.centre))
        length = norms(points)
        begun = length > 0
        return replace(
            state,
            centre=torch.where(begun.unsqueeze(-1), _unit(points), state.centre),
            radius=torch.where(begun, length, state.radius),
            started=begun,
            angle=torch.where(begun, START_ANGLE, 1.0).to(state.angle),
        )

    def init(self, space: Space, targets: int, stream: Stream) -> SphereCMAState:
        centre = first_mean(space, stream, "sample")
        return SphereCMAState(
            centre=_unit(centre),
            radius=centre.new_full((targets,), self._radius(space)),
            started=torch.zeros(targets, dtype=torch.bool, device=centre.device),
            angle=centre.new_ones(targets),
            generation=torch.zeros(targets, dtype=torch.int64, device=centre.device),
        )

    def ask(self, space: Space, state: SphereCMAState, stream: Stream) -> torch.Tensor:
        normal = stream.normal(self.population, space.dim)
        degrees = state.angle.double() * self.degrees(state.generation)
        angles = (degrees * (math.pi / 180)).to(normal.dtype)
        around = scattered(state.centre, normal, angles / math.sqrt(space.dim))
        around[:, 0] = state.centre
        points = torch.where(state.started.view(-1, 1, 1), around, _unit(normal))
        return frame_of(space, normal).outward(state.radius.view(-1, 1, 1) * points)

    def tell(
        self,
        space: Space,
        state: SphereCMAState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> SphereCMAState:
        del gradients
        others = scores.clone()
        others[:, 0] = torch.where(state.started, torch.nan, scores[:, 0])
        ranked = rank(others, space.dim, state.centre.dtype, active=False, diagonal=False)
        points = _unit(frame_of(space, state.centre).inward(latents))
        points = torch.where(ranked.valid.unsqueeze(-1), points, 0.0)
        best = weighted_sum(ranked.weights, points)
        directed = norms(best) > _blur(best)
        goal = torch.where(directed.unsqueeze(-1), _unit(best), state.centre)
        moved = slerp(state.centre, goal, self.learning_rate)
        return SphereCMAState(
            centre=torch.where(state.started.unsqueeze(-1), moved, goal),
            radius=state.radius,
            started=state.started | directed,
            angle=state.angle,
            generation=state.generation + 1,
        )

    def degrees(self, generation: torch.Tensor) -> torch.Tensor:
        """(K,) float64: the typical angle from the centre in `generation` (K,), which is int64.

        The first generation covers the whole sphere; the schedule begins with the second
        generation.
        """
        last = max((self.horizon or HORIZON) - 2, 1)
        progress = (generation - 1).clamp(0, last).to(torch.float64) / last
        if self.schedule == "inv":
            return 15 + 1 / (0.0017 * 74 * progress + 0.0146)
        if self.schedule == "lin":
            return self.first_angle + progress * (self.last_angle - self.first_angle)
        return self.first_angle * torch.exp(progress * math.log(self.last_angle / self.first_angle))

    def _radius(self, space: Space) -> float:
        """The radius in the frame, where the radius of a sphere space is sqrt(D)."""
        scale = 1.0 if space.kind == "sphere" else self.radius_scale
        return math.sqrt(space.dim) * scale


def scattered(centre: torch.Tensor, normal: torch.Tensor, rate: torch.Tensor) -> torch.Tensor:
    """(K, P, D) unit vectors around `centre` (K, D): along the part of each row of `normal`
    (K, P, D) that is perpendicular to it, by `rate` (K,) radians a unit of that part's length.
    """
    axis = centre.unsqueeze(1)
    along = row_sums(normal * axis).unsqueeze(-1)
    tangent = normal - along * axis
    length = norms(tangent).unsqueeze(-1)
    angle = rate.view(-1, 1, 1) * length
    return angle.cos() * axis + angle.sin() * tangent / length.clamp(min=_blur(length))


def slerp(start: torch.Tensor, goal: torch.Tensor, t: float) -> torch.Tensor:
    """(K, D): the point at `t` of the arc from `start` (0) to `goal` (1), all of length 1.

    Equal to (sin((1 - t) w) start + sin(t w) goal) / sin w, for the angle w between them.
    Where the two points coincide, or are opposite so that the arc is undefined, the result is
    `start`.
    """
    cosine = row_sums(start * goal).unsqueeze(-1)
    across = goal - cosine * start
    sine = norms(across).unsqueeze(-1)
    angle = t * torch.atan2(sine, cosine)
    blur = _blur(start)
    point = angle.cos() * start + angle.sin() * across / sine.clamp(min=blur)
    return torch.where(sine > blur, _unit(point), start)


def _unit(rows: torch.Tensor) -> torch.Tensor:
    """(K, ..., D) rows scaled to length 1."""
    return rows / norms(rows).unsqueeze(-1).clamp(min=torch.finfo(rows.dtype).tiny)


def _blur(like: torch.Tensor) -> float:
    """Differences between unit vectors that are shorter than this are rounding errors."""
    return 16 * torch.finfo(like.dtype).eps
