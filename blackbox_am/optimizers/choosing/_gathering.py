"""A search that contains another one and gathers its generations over several asks.

P, the rows of one ask, is fixed for a study and for all its targets. The inner strategy can have
larger generations: its `ask` is pure, so m asks with different random numbers give m P rows of one
generation, and `tell` accepts any number of rows. Each target has its own m.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, TypeVar

import torch

from blackbox_am.core import state as states
from blackbox_am.core.optimizer import Optimizer, Proposal
from blackbox_am.core.parameters import parameters_of
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._frame import frame_of
from blackbox_am.optimizers._incumbents import comparable
from blackbox_am.optimizers._parameters import at_least
from blackbox_am.optimizers.evolution._start import StartsAtMean
from blackbox_am.optimizers.evolution.cholesky_cma import CholeskyCMA
from blackbox_am.optimizers.evolution.cma import CMA
from blackbox_am.optimizers.evolution.sep_cma import SepCMA
from blackbox_am.optimizers.evolution.snes import SNES
from blackbox_am.optimizers.evolution.xnes import XNES

Inner = Literal["cma", "sep_cma", "snes", "xnes", "cholesky_cma"]
"""Strategies whose state has a `mean` in the frame and a `sigma`."""

STRATEGIES: dict[str, type[StartsAtMean[Any]]] = {
    each.name: each for each in (CMA, SepCMA, SNES, XNES, CholeskyCMA)
}
_INNER_FIELDS = {
    frozenset(each.name for each in fields(strategy.state_type)) for strategy in STRATEGIES.values()
}


@dataclass
class GatheringState:
    """State of K searches that contain another search.

    Attributes:
        inner: the tensors of the inner state.
        latents: (K, N, D) rows of the generation that is being gathered, N = growth * P.
        scores: (K, N) float64, of those.
        present: (K, N) bool: rows that came back.
        asks: (K,) int64, asks gathered so far.
        wanted: (K,) int64, asks of a whole generation.
    """

    inner: dict[str, torch.Tensor]
    latents: torch.Tensor
    scores: torch.Tensor
    present: torch.Tensor
    asks: torch.Tensor
    wanted: torch.Tensor

    def __post_init__(self) -> None:
        """Refuses an inner state of other fields, as an older snapshot may hold.

        Raises:
            TypeError: if a field is unknown.
        """
        if frozenset(self.inner) not in _INNER_FIELDS:
            raise TypeError(f"no strategy has a state of {', '.join(sorted(self.inner))}")


G = TypeVar("G", bound=GatheringState)


@dataclass(frozen=True)
class Gathering(Optimizer[G]):
    """Base of strategies that contain another strategy.

    Attributes:
        inner: the strategy inside.
        parameters: its parameters.
        growth: most asks that are gathered into one generation. The state holds that many
            times the latents of one ask.
    """

    host_reads: ClassVar[str] = (
        "which generations are complete: the inner search learns from those alone"
    )

    inner: Inner = "cma"
    parameters: dict[str, Any] = field(default_factory=dict)
    growth: int = 8

    def __post_init__(self) -> None:
        at_least(1, "a generation is one ask or more", growth=self.growth)
        _ = self.strategy  # so that its parameters are checked now

    @cached_property
    def strategy(self) -> StartsAtMean[Any]:
        """The strategy inside."""
        return parameters_of(STRATEGIES[self.inner], self.inner, self.parameters)

    def population_size(self, space: Space) -> int:
        return self.strategy.population_size(space)

    def memory_bytes(self, space: Space, targets: int) -> int:
        gathered = 4 * targets * self.growth * self.population_size(space) * space.dim
        return self.strategy.memory_bytes(space, targets) + 2 * gathered

    def check(self, space: Space) -> None:
        super().check(space)
        self.strategy.check(space)

    def teaches(self, state: G) -> torch.Tensor:
        """(K,) bool: whether the inner strategy learns from the rows of the current ask."""
        return torch.ones_like(state.asks, dtype=torch.bool)

    @abstractmethod
    def learnt(self, space: Space, state: G, closed: torch.Tensor) -> None:
        """Decides what the next generation is, in place. Called after the inner strategy has
        learnt.

        Args:
            space: where it searches.
            state: with the rows of the generations still in it.
            closed: (K,) bool: targets whose generation is complete.
        """

    def begin(self, space: Space, targets: int, stream: Stream) -> dict[str, Any]:
        """The fields of `GatheringState` before the first generation."""
        rows = self.growth * self.population_size(space)
        device = stream.device
        return {
            "inner": states.arrays(self.strategy.init(space, targets, stream)),
            "latents": torch.zeros(targets, rows, space.dim, dtype=stream.dtype, device=device),
            "scores": torch.zeros(targets, rows, dtype=torch.float64, device=device),
            "present": torch.zeros(targets, rows, dtype=torch.bool, device=device),
            "asks": torch.zeros(targets, dtype=torch.int64, device=device),
            "wanted": torch.ones(targets, dtype=torch.int64, device=device),
        }

    def center(self, space: Space, state: G) -> torch.Tensor:
        return self.strategy.center(space, self.unpacked(state))

    def started_at(self, space: Space, state: G, latents: torch.Tensor) -> G:
        inner = self.strategy.started_at(space, self.unpacked(state), latents)
        return replace(state, inner=states.arrays(inner))

    def ask(self, space: Space, state: G, stream: Stream) -> torch.Tensor:
        return Proposal.of(self.strategy.ask(space, self.unpacked(state), stream)).latents

    def tell(
        self,
        space: Space,
        state: G,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> G:
        """Adds the rows to the gathered generations, and tells the inner strategy the complete
        generations.

        K integers are read back to the host to know which generations are complete.
        """
        del gradients
        place = self._store(state, latents, scores)
        teaches = self.teaches(state)
        closed = teaches & (place == state.wanted)
        sizes = torch.where(closed, state.wanted, 0).tolist()
        for size in sorted(set(sizes) - {0}):
            due = torch.tensor([k for k, own in enumerate(sizes) if own == size])
            self._teach(space, state, due.to(latents.device), size * latents.shape[1])
        self.learnt(space, state, closed)
        emptied = closed | ~teaches
        state.asks = torch.where(emptied, 0, place)
        state.present &= ~emptied.unsqueeze(-1)
        return state

    def unpacked(self, state: G) -> Any:
        """The inner state."""
        return states.build(self.strategy.state_type, state.inner)

    def anew(
        self, space: Space, state: G, who: torch.Tensor, mean: torch.Tensor, scale: torch.Tensor
    ) -> None:
        """Gives targets a fresh inner state, in place.

        Args:
            space: where it searches.
            state: of all targets.
            who: (n,) int64 positions of the targets.
            mean: (n, D) latents to start from.
            scale: (n,) factors on the first step size.
        """
        start = frame_of(space, mean).inward(mean)
        fresh = self.strategy.fresh(space, start, torch.zeros_like(who))
        fresh.sigma = fresh.sigma * scale.to(mean.dtype).view(-1, *[1] * (fresh.sigma.ndim - 1))
        state.inner = states.arrays(states.merge(self.unpacked(state), who, fresh))

    def _store(self, state: G, latents: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Puts the rows of an ask in their place; returns (K,) asks gathered with it."""
        population = latents.shape[1]
        known, present = comparable(scores), ~scores.isnan()
        for k, asks in enumerate(state.asks.tolist()):
            rows = slice(asks * population, (asks + 1) * population)
            state.latents[k, rows] = latents[k]
            state.scores[k, rows] = known[k]
            state.present[k, rows] = present[k]
        return state.asks + 1

    def _teach(self, space: Space, state: G, due: torch.Tensor, rows: int) -> None:
        """Tells the inner strategy the first `rows` rows of the targets at `due`."""
        everyone = len(due) == len(state.wanted)
        inner = self.unpacked(state)
        part = inner if everyone else states.select(inner, due)
        latents, scores, present = (
            tensor[:, :rows] if everyone else tensor[due, :rows]
            for tensor in (state.latents, state.scores, state.present)
        )
        told = self.strategy.tell(space, part, latents, torch.where(present, scores, torch.nan))
        state.inner = states.arrays(told if everyone else states.merge(inner, due, told))
