"""Particle swarms: one flight by hand, walls, failures, and tops they find."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.optimizers.population.pso import PSO
from blackbox_am.testing.searches import Search

Rows = Callable[..., list[float]]
SIX = SpaceSpec("normal", 6)


def test_one_flight_by_hand() -> None:
    optimizer = PSO(population=5, inertia=0.6, cognitive=1.1, social=1.3)
    search = Search(optimizer, build_space(SIX), targets=(0,), dtype=torch.float64)
    places = torch.stack(search.run(3))[:, 0]
    scores = torch.stack([search.scores(x.unsqueeze(0))[0] for x in places])
    own = places.gather(0, scores.argmax(0)[None, :, None].expand(1, -1, 6))[0]
    best = own[scores.amax(0).argmax()]
    stream = search.stream("ask")
    pulls = [stream.uniform(5, 6)[0] for _ in range(2)]
    velocity = 0.6 * (places[2] - places[1])
    velocity = velocity + 1.1 * pulls[0] * (own - places[2]) + 1.3 * pulls[1] * (best - places[2])
    torch.testing.assert_close(search.ask()[0], places[2] + velocity.clamp(-2, 2))


def test_velocity_has_a_limit_in_deviations_of_the_prior() -> None:
    space = build_space(SpaceSpec("box", 3, low=(-1e3,), high=(1e3,)))
    search = Search(PSO(max_velocity=0.1), space)
    search.run(1)
    step = (search.ask() - search.told[-1]).abs().max().item()
    assert step == pytest.approx(0.1 * 2e3 / 12**0.5, rel=1e-3)


def test_walls_stop_particles() -> None:
    space = build_space(SpaceSpec("box", 2, low=(0.0,), high=(1.0,)))
    search = Search(PSO(population=4), space, targets=(0,), dtype=torch.float64)
    search.run(1)
    search.state = replace(search.state, velocity=torch.full_like(search.state.velocity, 5.0))
    before = search.state.position
    latents = space.project(search.ask())
    search.tell(latents, search.scores(latents))
    torch.testing.assert_close(search.state.velocity, search.state.position - before)
    assert search.state.velocity.max() < 12**0.5


def test_failed_particles_fly_on_and_learn_nothing() -> None:
    search = Search(PSO(population=4), build_space(SIX), targets=(0,))
    search.run(3)
    before = search.state
    latents = search.ask()
    scores = torch.full((1, 4), 1e9)
    scores[0, 2] = torch.nan
    search.tell(latents, scores)
    assert torch.equal(search.state.memory[0, 2], before.memory[0, 2])
    torch.testing.assert_close(search.state.position, latents)
    assert torch.equal(search.state.memory[0, [0, 1, 3]], latents[0, [0, 1, 3]])


def test_memory_never_gets_worse() -> None:
    search = Search(PSO(), build_space(SIX))
    search.run(1)
    before = search.state.scores
    for _ in range(10):
        search.run(1)
        assert (search.state.scores >= before).all()
        before = search.state.scores


@pytest.mark.parametrize(("dim", "budget"), [(16, 5_000), (64, 30_000)])
def test_reaches_the_top(dim: int, budget: int, hills: Any, rows_to_reach: Rows) -> None:
    space = build_space(SpaceSpec("normal", dim))
    needed = rows_to_reach(
        "pso", space, hills["sphere"], target=-1e-2, budget=budget, targets=3, population=40
    )
    assert sorted(needed)[1] < budget


def test_finds_the_corner_of_a_box(rows_to_reach: Rows) -> None:
    space = build_space(SpaceSpec("box", 10, low=(0.0,), high=(1.0,)))
    needed = rows_to_reach("pso", space, lambda x: (x - 1).sum(-1), budget=2_000, population=40)
    assert max(needed) < 2_000
