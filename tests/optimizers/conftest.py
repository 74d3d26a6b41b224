"""Hills with known tops, and how many rows it takes to climb them."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from blackbox_am import plugins
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space

Hill = Callable[[torch.Tensor], torch.Tensor]


@pytest.fixture
def hills() -> dict[str, Hill]:
    """Functions of (..., D) whose maximum is 0."""

    def ellipsoid(x: torch.Tensor) -> torch.Tensor:
        axes = torch.linspace(0, 6, x.shape[-1], dtype=x.dtype)
        return -(10**axes * x.square()).sum(-1)

    def rosenbrock(x: torch.Tensor) -> torch.Tensor:
        a, b = x[..., :-1], x[..., 1:]
        return -(100 * (b - a.square()).square() + (1 - a).square()).sum(-1)

    return {
        "sphere": lambda x: -x.square().sum(-1),
        "ellipsoid": ellipsoid,
        "rosenbrock": rosenbrock,
    }


@pytest.fixture
def rows_to_reach() -> Callable[..., list[float]]:
    """How many rows each of K searches needs to score `target`; inf where it does not."""

    def rows(
        name: str,
        space: Space,
        hill: Hill,
        *,
        target: float = -1e-6,
        budget: int,
        targets: int = 5,
        dtype: torch.dtype = torch.float64,
        **parameters: Any,
    ) -> list[float]:
        optimizer = plugins.optimizers.build(name, parameters)
        numbers = range(targets)
        state = optimizer.init(space, targets, Stream(5, "init", 0, numbers, dtype=dtype))
        needed = torch.full((targets,), math.inf)
        for generation in range(budget // optimizer.population_size(space)):
            stream = Stream(5, "ask", generation, numbers, dtype=dtype)
            latents = space.project(optimizer.ask(space, state, stream))
            scores = hill(latents)
            there = (scores.amax(-1) >= target) & needed.isinf()
            needed[there] = float((generation + 1) * latents.shape[1])
            if not needed.isinf().any():
                break
            state = optimizer.tell(space, state, latents, scores)
        return needed.tolist()

    return rows


@pytest.fixture
def rows_of_pycma() -> Callable[..., list[float]]:
    """The same of the reference implementation, for five seeds."""
    cma = pytest.importorskip("cma")
    np = pytest.importorskip("numpy")

    def rows(
        dim: int, hill: Hill, *, population: int, diagonal: bool, spread: float, budget: int
    ) -> list[float]:
        needed = []
        for seed in range(5):
            random = np.random.RandomState(seed)
            options = {
                "seed": math.nan,
                "randn": random.randn,
                "verbose": -9,
                "popsize": population,
                "CMA_diagonal": diagonal,
            }
            search = cma.CMAEvolutionStrategy(spread * random.randn(dim), 1.0, options)
            count, best = 0, -math.inf
            while best < -1e-6 and count < budget:
                latents = search.ask()
                scores = hill(torch.tensor(np.array(latents)))
                search.tell(latents, (-scores).tolist())
                best, count = max(best, float(scores.max())), count + population
            needed.append(count if best >= -1e-6 else math.inf)
        return needed

    return rows
