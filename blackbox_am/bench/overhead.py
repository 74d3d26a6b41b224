"""The overhead of optimizers: the time of ask and tell, compared with peers and a lower bound.

All measurements use one thread. Times are those of the processor, and the minimum over repeats,
because other work on the machine can only increase a time. Peers are called as their documentation
says and not through this package's plug-ins.
"""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

from blackbox_am.core.optimizer import Optimizer, Proposal, SearchContext
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidInput, Unsupported
from blackbox_am.optimizers.evolution.cma import CMA
from blackbox_am.plugins import optimizers

Say = Callable[[str], None]
Generation = Callable[[], object]

OURS = ("snes", "sep_cma", "open_es", "lowrank_cma", "cma")
COUNTERPART = {
    "pycma sep": "sep_cma",
    "pycma full": "cma",
    "nevergrad DiagonalCMA": "sep_cma",
    "cmaes sep": "sep_cma",
}
"""For each peer the optimizer of this package with the same algorithm."""
TRAIN = "tensor_train"
TRAINS = {
    TRAIN: {},
    "tensor_train of the paper": {"population": 100, "elites": 10, "gradient_steps": 1},
}
"""Parameters of the rows of `tensor_train`, which searches `BITS` binary codes a dimension."""
BITS = 6
SECONDS = 0.5
"""Shortest duration of each measurement, which has at least three generations."""
GEMM = 2048


@dataclass(frozen=True)
class Cost:
    """The time of ask and tell of one generation.

    Attributes:
        name: name of the optimizer.
        dimension: latent dimension D.
        population: rows P of a generation.
        targets: number of targets K.
        seconds: seconds of a generation of all targets, averaged over the generations from one
            factorisation to the next.
        floor: seconds of the necessary operations on this machine: the drawing of normal numbers,
            and for full covariances the products and the factorisation. nan for peers.
        loop: seconds of the same K targets as K single searches; nan if not measured.
    """

    name: str
    dimension: int
    population: int
    targets: int
    seconds: float
    floor: float = math.nan
    loop: float = math.nan


@dataclass(frozen=True)
class Machine:
    """The speed of one thread.

    Attributes:
        normals: float32 normal numbers a second.
        flops: float32 operations a second in a matrix product.
    """

    normals: float
    flops: float


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit torch to one thread inside the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def least_seconds(generation: Generation, batch: int = 1) -> float:
    """The shortest mean time of `batch` runs of `generation`, over at least three batches."""
    generation()
    best, runs, end = math.inf, 0, time.perf_counter() + SECONDS
    while runs < 3 or time.perf_counter() < end:
        started = time.process_time()
        for _ in range(batch):
            generation()
        best, runs = min(best, (time.process_time() - started) / batch), runs + 1
    return best


def machine() -> Machine:
    """Measure the speed of this machine."""
    numbers = torch.empty(2**18)
    generator = torch.Generator().manual_seed(0)
    a, b, c = (torch.rand(GEMM, GEMM) for _ in range(3))
    return Machine(
        numbers.numel() / least_seconds(lambda: numbers.normal_(generator=generator)),
        2 * GEMM**3 / least_seconds(lambda: torch.mm(a, b, out=c)),
    )


def measure(
    dimensions: Sequence[int],
    populations: Sequence[int],
    targets: Sequence[int],
    say: Say,
    names: Sequence[str] = (*OURS, TRAIN),
) -> tuple[Machine, list[Cost]]:
    """Measure the optimizers `names` and the installed peers of each at every size.

    Raises:
        InvalidInput: if none of the names is measured.
    """
    check(names)
    costs = []
    with one_thread():
        limits = machine()
        for dimension in dimensions:
            for population in populations:
                say(f"overhead at D = {dimension}, P = {population}")
                for name in OURS:
                    if name in names:
                        for number in targets:
                            costs += _ours(name, dimension, population, number, limits)
                costs += _peers(dimension, population, names)
            costs += _trains(dimension) if TRAIN in names else []
    return limits, costs


def check(names: Sequence[str]) -> None:
    """Check that at least one optimizer of `names` is measured.

    Raises:
        InvalidInput: if there is none.
    """
    if not {*OURS, TRAIN} & set(names):
        raise InvalidInput(
            f"overhead measures {', '.join((*OURS, TRAIN))}; got {', '.join(names)}; name one of "
            "them, leave out --optimizer, or measure --part efficiency alone",
            field="optimizer",
        )


def _ours(name: str, dimension: int, population: int, targets: int, limits: Machine) -> list[Cost]:
    """One cost, or none if the optimizer does not fit into memory."""
    try:
        batched = generation_of(name, dimension, population, targets)
    except Unsupported:
        return []
    batch = _gap(dimension, population) if name == "cma" else 1
    seconds = least_seconds(batched, batch)
    loop = math.nan
    if targets > 1:
        loop = targets * least_seconds(generation_of(name, dimension, population, 1), batch)
    floor = targets * _floor(name, dimension, population, limits)
    return [Cost(name, dimension, population, targets, seconds, floor, loop)]


def _trains(dimension: int) -> list[Cost]:
    """The costs of `tensor_train` for binary codes."""
    space = SpaceSpec("categorical", BITS * dimension, categories=2)
    costs = []
    for name, parameters in TRAINS.items():
        built = optimizers.build(TRAIN, parameters)
        population = built.population_size(build_space(space))
        seconds = least_seconds(_generation(built, space, population, 1))
        costs.append(Cost(name, space.dimension, population, 1, seconds))
    return costs


def generation_of(name: str, dimension: int, population: int, targets: int) -> Generation:
    """A function that asks and tells one generation on each call."""
    built = optimizers.build(name, {"population": population})
    return _generation(built, SpaceSpec("normal", dimension), population, targets)


def _generation(
    built: Optimizer[Any], spec: SpaceSpec, population: int, targets: int
) -> Generation:
    space = build_space(spec)
    optimizer = built.resolve(space, SearchContext(10_000, targets))
    keys = range(targets)
    state = optimizer.init(space, targets, Stream(0, "init", 0, keys))
    scores = torch.rand(targets, population, generator=torch.Generator().manual_seed(0))
    generation = 0

    def run() -> None:
        nonlocal state, generation
        with torch.no_grad():
            stream = Stream(0, "ask", generation, keys)
            latents = Proposal.of(optimizer.ask(space, state, stream)).latents
            state = optimizer.tell(space, state, latents, scores)
        generation += 1

    return run


def _gap(dimension: int, population: int) -> int:
    """Generations between two factorisations of `cma`."""
    space = build_space(SpaceSpec("normal", dimension))
    return CMA(population=population).generations_between_factors(space, population)


def _floor(name: str, dimension: int, population: int, limits: Machine) -> float:
    """Seconds of the necessary operations of one target in one generation."""
    drawn = population * dimension / (2 if name == "open_es" else 1)
    seconds = drawn / limits.normals
    if name == "cma":
        parents = population // 2
        products = 2 * (population + parents + 1) * dimension**2
        factorisation = dimension**3 / 3 / _gap(dimension, population)
        seconds = (products + factorisation) / limits.flops
    return seconds


# Peers


def _peers(dimension: int, population: int, names: Sequence[str]) -> list[Cost]:
    """The costs of the installed peers of the optimizers `names`."""
    found: dict[str, Callable[[], float]] = {
        "pycma sep": lambda: least_seconds(_pycma(dimension, population, diagonal=True)),
        "pycma full": lambda: _pycma_full(dimension, population),
    }
    if importlib.util.find_spec("nevergrad") is not None:
        found["nevergrad DiagonalCMA"] = lambda: least_seconds(_nevergrad(dimension, population))
    if importlib.util.find_spec("cmaes") is not None:
        found["cmaes sep"] = lambda: least_seconds(_cmaes(dimension, population))
    return [
        Cost(name, dimension, population, 1, seconds())
        for name, seconds in found.items()
        if COUNTERPART[name] in names
    ]


def _pycma(dimension: int, population: int, *, diagonal: bool) -> Generation:
    strategy = _pycma_strategy(dimension, population, diagonal=diagonal)
    if not diagonal:  # `_pycma_full` measures the decompositions separately
        strategy.sm.update_now = _nothing
    scores = np.random.default_rng(0).random(population)

    def run() -> None:
        strategy.tell(strategy.ask(), scores)

    return run


def _nothing(*_: object) -> None:
    """Replace pycma's decomposition."""


def _pycma_strategy(dimension: int, population: int, *, diagonal: bool) -> Any:
    import cma

    random = np.random.default_rng(0)
    options = {
        "popsize": population,
        "verbose": -9,
        "seed": math.nan,
        "randn": lambda *shape: random.standard_normal(shape),
        "CMA_diagonal": diagonal,
    }
    strategy: Any = cma.CMAEvolutionStrategy
    return strategy(np.zeros(dimension), 1.0, options)


def _pycma_full(dimension: int, population: int) -> float:
    """Seconds of a generation with its share of a decomposition."""
    gap = float(_pycma_strategy(dimension, population, diagonal=False).sm.lazy_update_gap)
    plain = least_seconds(_pycma(dimension, population, diagonal=False))
    return plain + _decomposition_seconds(dimension) / max(1.0, gap)


@cache
def _decomposition_seconds(dimension: int) -> float:
    """Seconds of one decomposition as in pycma: float64, by numpy."""
    factor = np.random.default_rng(0).standard_normal((dimension, dimension))
    matrix = factor @ factor.T
    started = time.process_time()
    np.linalg.eigh(matrix)
    return time.process_time() - started


def _nevergrad(dimension: int, population: int) -> Generation:
    import nevergrad as ng

    optimizer = ng.families.ParametrizedCMA(popsize=population, diagonal=True)(
        ng.p.Array(shape=(dimension,)), budget=10**6, num_workers=population
    )
    losses = np.random.default_rng(0).random(population)

    def run() -> None:
        for loss, candidate in zip(
            losses, [optimizer.ask() for _ in range(population)], strict=True
        ):
            optimizer.tell(candidate, loss)

    return run


def _cmaes(dimension: int, population: int) -> Generation:
    import cmaes

    optimizer = cmaes.SepCMA(mean=np.zeros(dimension), sigma=1.0, population_size=population)
    losses = np.random.default_rng(0).random(population)

    def run() -> None:
        optimizer.tell([(optimizer.ask(), float(loss)) for loss in losses])

    return run
