"""Searches of a latent image on a coarse grid first, then on finer ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import msgspec
import torch

from blackbox_am.core import state as states
from blackbox_am.core.optimizer import Optimizer, Proposal, SearchContext
from blackbox_am.core.parameters import parameters_of
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import GradientUnavailable, InvalidSpec, Unsupported
from blackbox_am.optimizers._parameters import at_least
from blackbox_am.optimizers.choosing._grids import Grid, sizes


@dataclass
class OctavesState:
    """State of K searches.

    Attributes:
        inner: the tensors of the inner state of every octave, `0.mean` of the coarsest.
        octave: (K,) int64, the octave that a target searches.
        told: (K,) int64, generations of this octave so far.
        detail: (K, D) what the enlarged image is added to: what the point at which the octave
            began has beyond the coarse grid.
        carried: (K, D) the latent from which the octave began.
    """

    inner: dict[str, torch.Tensor]
    octave: torch.Tensor
    told: torch.Tensor
    detail: torch.Tensor
    carried: torch.Tensor


@dataclass(frozen=True)
class CoarseToFine(Optimizer[OctavesState]):
    """Base of searches through octaves, see `octaves`.

    Attributes:
        inner: the search inside, a name in `searches`.
        parameters: its parameters.
        octaves: number of grids, the latent image itself included.
        factor: how many times as high and wide each grid is as the last one.
        share: share of the budget that the coarse grids get, in equal parts.
        generations: generations of each coarse grid; follows from the budget if empty.
    """

    exchangeable: ClassVar[bool] = False
    spaces: ClassVar[frozenset[str]] = frozenset({"normal", "box"})
    needs_image: ClassVar[bool] = True
    host_reads: ClassVar[str] = "targets in different octaves have latents of different sizes"
    state_type: ClassVar[type[OctavesState]] = OctavesState
    searches: ClassVar[Mapping[str, type[Optimizer[Any]]]]
    """The searches that may be inside: those with a centre and a start."""

    inner: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    octaves: int = 3
    factor: float = 2.0
    share: float = 0.5
    generations: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        at_least(1, "the latent image itself is one", octaves=self.octaves)
        if not 1 < self.factor < math.inf:
            raise ValueError(f"factor must be above 1 and finite, got {self.factor}")
        if not 0 < self.share < 1:
            raise ValueError(f"share must be above 0 and below 1, got {self.share}")
        if not all(count >= 1 for count in self.generations):
            raise ValueError(f"generations must be at least 1 each, got {self.generations}")
        if len(self.generations) >= self.octaves:
            raise ValueError(
                f"generations must name fewer grids than octaves ({self.octaves}), since the last "
                f"one has no end; got {len(self.generations)}"
            )
        restarts = getattr(self.search, "restarts", 1)
        if restarts > 1:
            raise ValueError(
                "parameters: a restart of the inner search begins at the prior and would lose what "
                f"the coarse grids found; expected restarts = 1, got {restarts}"
            )

    @cached_property
    def search(self) -> Optimizer[Any]:
        """The search inside."""
        return parameters_of(self.searches[self.inner], self.inner, self.parameters)

    def check(self, space: Space) -> None:
        super().check(space)
        low, high = space.spec.low, space.spec.high
        if len(set(low)) > 1 or len(set(high)) > 1:
            raise Unsupported(
                f"{self.name} needs the same bounds for every coordinate of a box, since a coarse "
                f"grid has fewer coordinates; got {len(set(low))} different lower and "
                f"{len(set(high))} upper bounds. Use the inner optimizer {self.inner} alone",
                field="optimizer.name",
            )
        levels = self._levels(space)
        if len(self.generations) >= len(levels):
            raise InvalidSpec(
                f"{self.name}: generations names {len(self.generations)} coarse grids, and a "
                f"latent image of shape {space.spec.image_shape} has {len(levels) - 1} with a "
                f"factor of {self.factor:g}; leave some out",
                field="optimizer.parameters.generations",
            )
        for _, inner in levels:
            self.search.check(inner)

    def population_size(self, space: Space) -> int:
        return max(self.search.population_size(inner) for _, inner in self._levels(space))

    def resolve(self, space: Space, context: SearchContext) -> Self:
        """The lengths of the octaves from the budget; a schedule of the inner search is as long as
        the last octave.
        """
        if len(space.spec.image_shape) != 3:
            return self  # refused by `check`
        rows = context.queries_per_target
        total = max(1, rows // self.population_size(space))
        levels = min(len(self._levels(space)), total)
        lengths = self.generations
        if not lengths and levels > 1:
            most = (total - 1) // (levels - 1)  # one generation is left for the latent image
            part = max(1, round(self.share * total / (levels - 1)))
            lengths = (min(part, most),) * (levels - 1)
        used = sum(lengths) * self.population_size(space)
        last = replace(context, queries_per_target=max(1, rows - used))
        inner = self.search.resolve(space, last)
        parts = fields(inner)  # type: ignore[arg-type]  # a dataclass, as every optimizer
        values = {one.name: getattr(inner, one.name) for one in parts}
        return replace(
            self,
            parameters=msgspec.to_builtins(values),
            octaves=len(lengths) + 1,
            generations=lengths,
        )

    def init(self, space: Space, targets: int, stream: Stream) -> OctavesState:
        inner: dict[str, torch.Tensor] = {}
        for octave, (_, coarse) in enumerate(self._levels(space)):
            fresh = states.arrays(self.search.init(coarse, targets, stream))
            inner |= {f"{octave}.{name}": tensor for name, tensor in fresh.items()}
        zeros = torch.zeros(targets, space.dim, dtype=stream.dtype, device=stream.device)
        counts = torch.zeros(targets, dtype=torch.int64, device=stream.device)
        return OctavesState(inner, counts, counts.clone(), zeros, zeros.clone())

    def started_at(self, space: Space, state: OctavesState, latents: torch.Tensor) -> OctavesState:
        everyone = torch.arange(len(state.octave), device=state.octave.device)
        self._begin(space, state, 0, everyone, latents.to(state.detail))
        return state

    def center(self, space: Space, state: OctavesState) -> torch.Tensor:
        centers = torch.zeros_like(state.carried)
        for octave, who in self._searched(state):
            centers[who] = self._center(space, state, octave, who)
        return centers

    def ask(self, space: Space, state: OctavesState, stream: Stream) -> Proposal:
        rows = self.population_size(space)
        points = torch.zeros(
            len(state.octave), rows, space.dim, dtype=stream.dtype, device=stream.device
        )
        wanted = torch.ones(points.shape[:2], dtype=torch.bool, device=points.device)
        masked = False
        for octave, who in self._searched(state):
            grid, coarse = self._levels(space)[octave]
            own = stream.at(who.tolist())
            asked = Proposal.of(self.search.ask(coarse, self._part(state, octave, who), own))
            image = grid.enlarge(coarse.project(asked.latents))
            proposal = Proposal(state.detail[who].unsqueeze(1) + image, asked.wanted).padded(rows)
            masked = masked or proposal.wanted is not None
            begins = ((state.told[who] == 0) & (state.octave[who] > 0)).unsqueeze(-1)
            led = proposal.led_by(state.carried[who])
            points[who] = torch.where(begins.unsqueeze(-1), led.latents, proposal.latents)
            wanted[who] = torch.where(begins, led.mask(), proposal.mask())
        return Proposal(points, wanted if masked else None)

    def tell(
        self,
        space: Space,
        state: OctavesState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> OctavesState:
        if self.order == 1 and gradients is None:
            raise GradientUnavailable(
                f"{self.name} needs the gradients of the scores and got none; use an oracle and a "
                "generator that can be differentiated, or `octaves`",
                field="optimizer.name",
            )
        for octave, who in list(self._searched(state)):
            grid, coarse = self._levels(space)[octave]
            rows = slice(self.search.population_size(coarse))
            beyond = latents[who, rows] - state.detail[who].unsqueeze(1)
            slopes = None if gradients is None else grid.pull_back(gradients[who, rows])
            told = self.search.tell(
                coarse,
                self._part(state, octave, who),
                coarse.project(grid.reduce(beyond)),
                scores[who, rows],
                slopes,
            )
            self._put(state, octave, who, told)
            state.told[who] += 1
            if octave < len(self.generations):
                ended = who[state.told[who] >= self.generations[octave]]
                if len(ended):
                    found = self._center(space, state, octave, ended)
                    self._begin(space, state, octave + 1, ended, found)
        return state

    def _levels(self, space: Space) -> list[tuple[Grid, Space]]:
        """The grid and the latent space of each octave, from coarse to fine."""
        channels, *extent = space.spec.image_shape
        whole = (extent[0], extent[1])
        grids = [Grid(channels, size, whole) for size in sizes(whole, self.factor, self.octaves)]
        return [(grid, _space_of(space.spec, grid)) for grid in grids]

    def _searched(self, state: OctavesState) -> Iterator[tuple[int, torch.Tensor]]:
        """Each octave that targets search, and (n,) int64 their positions."""
        octaves = state.octave.tolist()
        for octave in sorted(set(octaves)):
            places = [k for k, own in enumerate(octaves) if own == octave]
            yield octave, torch.tensor(places, device=state.octave.device)

    def _center(
        self, space: Space, state: OctavesState, octave: int, who: torch.Tensor
    ) -> torch.Tensor:
        """(n, D): where the search of the targets at `who` stands."""
        grid, coarse = self._levels(space)[octave]
        found = self.search.center(coarse, self._part(state, octave, who))
        assert found is not None  # every one of `searches` has a centre
        return space.project(state.detail[who] + grid.enlarge(found.unsqueeze(1))[:, 0])

    def _begin(
        self, space: Space, state: OctavesState, octave: int, who: torch.Tensor, at: torch.Tensor
    ) -> None:
        """Begins an octave of the targets at `who` at latents `at` (n, D), in place."""
        grid, coarse = self._levels(space)[octave]
        image = coarse.project(grid.reduce(at.unsqueeze(1)))
        detail = at - grid.enlarge(image)[:, 0]
        started = self.search.started_at(coarse, self._part(state, octave, who), image[:, 0])
        self._put(state, octave, who, started)
        state.octave[who] = octave
        state.told[who] = 0
        state.detail[who] = detail
        state.carried[who] = at

    def _part(self, state: OctavesState, octave: int, who: torch.Tensor) -> Any:
        """The inner state of an octave, of the targets at `who`."""
        prefix = f"{octave}."
        own = {
            key.removeprefix(prefix): tensor[who]
            for key, tensor in state.inner.items()
            if key.startswith(prefix)
        }
        return states.build(self.search.state_type, own)

    def _put(self, state: OctavesState, octave: int, who: torch.Tensor, part: Any) -> None:
        for name, tensor in states.arrays(part).items():
            state.inner[f"{octave}.{name}"][who] = tensor


def _space_of(whole: SpaceSpec, grid: Grid) -> Space:
    """The space of the images on a grid."""
    return build_space(
        SpaceSpec(
            whole.kind,
            grid.dim,
            low=whole.low[:1],
            high=whole.high[:1],
            image_shape=(grid.channels, *grid.coarse),
        )
    )
