"""Auto-PGD: its checkpoints, and every step against the paper's algorithm written as a loop."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from blackbox_am.core.optimizer import SearchContext
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.optimizers.attacks._steps import WITHIN
from blackbox_am.optimizers.attacks.apgd import Apgd, checkpoints

Function = Callable[[np.ndarray], tuple[float, np.ndarray]]
DIM = 6


def box() -> Space:
    return build_space(SpaceSpec("box", DIM, low=(-1.0,), high=(1.0,)))


def hill(change: np.ndarray) -> tuple[float, np.ndarray]:
    """A narrow ridge inside the ball, which long steps jump over."""
    weights = np.array([1.0, 4.0, 20.0, 100.0, 3.0, 0.5])
    offset = change - np.array([0.3, -0.2, 0.5, 0.1, -0.6, 0.2])
    return -float((weights * offset**2).sum()), -2 * weights * offset


def waves(change: np.ndarray) -> tuple[float, np.ndarray]:
    """Several hills. With more, rounding errors grow from step to step."""
    rates = np.arange(1, DIM + 1) * 1.2
    return float(np.sin(rates * change).sum()), rates * np.cos(rates * change)


def projected(change: np.ndarray, norm: str) -> np.ndarray:
    if norm == "l2":
        change = change * min(WITHIN / np.linalg.norm(change), 1.0)
    return change.clip(-1, 1)


def unit(slope: np.ndarray, norm: str) -> np.ndarray:
    return np.sign(slope) if norm == "linf" else slope / np.linalg.norm(slope)


def algorithm_1(
    function: Function, start: np.ndarray, norm: str, steps: int
) -> tuple[list[np.ndarray], list[float]]:
    """The points that are measured, and the step length at each, as the paper writes it."""
    ends = [int(np.ceil(p * steps - 1e-9)) for p in (0.22, 0.41, 0.57, 0.7, 0.8, 0.87, 0.93, 0.99)]
    points, values, lengths = [start], [], []
    length, before, here = 2.0, start, start
    best, best_value, best_slope = start, -np.inf, start
    reference, halved, rises, last_end = -np.inf, False, 0, 0
    last = -np.inf
    for k in range(steps):
        value, slope = function(here)
        values.append(value)
        rises += k > 0 and value > last
        if value > best_value:
            best, best_value, best_slope = here, value, slope
        if k == 0:
            reference = value
        last = value
        if k in ends:
            stalls = not halved and best_value == reference
            halved = rises < 0.75 * (k - last_end) or stalls
            reference, rises, last_end = best_value, 0, k
            if halved:
                length /= 2
                here, slope, last = best, best_slope, best_value
        ahead = projected(here + length * unit(slope, norm), norm)
        if k > 0:
            ahead = projected(here + 0.75 * (ahead - here) + 0.25 * (here - before), norm)
        before, here = here, ahead
        points.append(here)
        lengths.append(length)
    return points, lengths


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("function", [hill, waves])
def test_every_step_is_that_of_the_papers_algorithm(norm: str, function: Function) -> None:
    space, steps = box(), 60
    optimizer = Apgd(norm=norm, steps=steps)  # type: ignore[arg-type]
    state = optimizer.init(space, 1, Stream(0, "init", 0, dtype=torch.float64))
    stream = Stream(0, "ask", 0, dtype=torch.float64)
    start = optimizer.ask(space, state, stream)[0, 0].numpy()
    points, lengths = algorithm_1(function, start, norm, steps)
    for generation, (point, length) in enumerate(zip(points, [*lengths, None], strict=True)):
        stream = Stream(0, "ask", generation, dtype=torch.float64)
        latents = optimizer.ask(space, state, stream)
        assert latents[0, 0].numpy() == pytest.approx(point, abs=1e-8), f"step {generation}"
        score, slope = function(latents[0, 0].numpy())
        state = optimizer.tell(
            space,
            state,
            latents,
            torch.tensor([[score]], dtype=torch.float64),
            torch.from_numpy(slope)[None, None],
        )
        if length is not None:
            assert float(state.length) == pytest.approx(length), f"step {generation}"
    assert min(lengths) < 2, "no step was halved"
    assert not state.begun.any(), "after its steps an ascent begins again"
    assert float(state.length) == 2


def test_the_checkpoints_are_the_papers() -> None:
    assert checkpoints(100) == (22, 41, 57, 70, 80, 87, 93, 99)
    assert checkpoints(1000) == (220, 410, 570, 700, 800, 870, 930, 990)
    assert checkpoints(10) == (3, 5, 6, 7, 8, 9, 10)
    assert checkpoints(1) == (1,)


def test_the_steps_fit_the_budget() -> None:
    for budget, population, steps in ((1000, 1, 100), (50, 1, 49), (50, 2, 24), (1, 1, 1)):
        found = Apgd(population=population).resolve(box(), SearchContext(budget))
        assert isinstance(found, Apgd)
        assert found.steps == steps
    assert Apgd(steps=7).resolve(box(), SearchContext(1000)) == Apgd(steps=7)


@pytest.mark.parametrize("optimizer", [Apgd(steps=30), Apgd(steps=30, norm="l2")])
def test_it_climbs_a_narrow_ridge(optimizer: Apgd) -> None:
    space = box()
    state = optimizer.init(space, 1, Stream(0, "init", 0))
    best = -np.inf
    for generation in range(31):
        latents = optimizer.ask(space, state, Stream(0, "ask", generation))
        score, slope = hill(latents[0, 0].numpy())
        best = max(best, score)
        slopes = torch.from_numpy(slope).float()[None, None]
        state = optimizer.tell(
            space, state, latents, torch.tensor([[score]], dtype=torch.float64), slopes
        )
    assert best > -1.0  # -36 at the middle of the box


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"population": 0}, "population must be at least 1"),
        ({"rising": 2.0}, r"rising must be in \[0, 1\]"),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Apgd(**parameters)
