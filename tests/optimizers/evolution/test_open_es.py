"""OpenAI's evolution strategy: mirrored steps, and Adam on what they estimate."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.optimizers.evolution._ranks import centred_ranks
from blackbox_am.optimizers.evolution.open_es import OpenES
from blackbox_am.testing.searches import Search, finite

Rows = Callable[..., list[float]]
SIX = SpaceSpec("normal", 6)


def test_steps_mirror_each_other() -> None:
    search = Search(OpenES(population=10), build_space(SIX), dtype=torch.float64)
    search.run(3)
    steps = search.ask() - search.state.mean.unsqueeze(1)
    torch.testing.assert_close(steps[:, :5], -steps[:, 5:])


def test_equals_adam_of_torch_on_the_estimated_gradient() -> None:
    search = Search(
        OpenES(population=8, sigma=0.4, learning_rate=0.07, beta1=0.8, beta2=0.99),
        build_space(SIX),
        targets=(1,),
        dtype=torch.float64,
    )
    theirs = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    reference = torch.optim.Adam([theirs], lr=0.07, betas=(0.8, 0.99))
    for _ in range(30):
        latents = search.ask()
        scores = search.scores(latents)
        steps = (latents[0] - theirs.detach()) / 0.4
        theirs.grad = -(centred_ranks(scores, torch.float64)[0] @ steps) / 8
        reference.step()
        search.tell(latents, scores)
    torch.testing.assert_close(search.state.mean[0], theirs.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("dim", "budget"), [(16, 4_500), (64, 6_500)])
def test_closes_in_on_a_top_while_sigma_shrinks(
    dim: int, budget: int, hills: Any, rows_to_reach: Rows
) -> None:
    needed = rows_to_reach(
        "open_es",
        build_space(SpaceSpec("normal", dim)),
        hills["sphere"],
        target=-1e-2,
        budget=budget,
        decay=0.97,
        population=40,
        start="sample",
    )
    assert max(needed) < budget


def test_finds_the_corner_of_a_box(rows_to_reach: Rows) -> None:
    space = build_space(SpaceSpec("box", 10, low=(0.0,), high=(1.0,)))
    needed = rows_to_reach("open_es", space, lambda x: (x - 1).sum(-1), budget=4_000)
    assert max(needed) < 4_000


def test_sigma_and_the_learning_rate_shrink_together_down_to_the_floor() -> None:
    optimizer = OpenES(population=200, sigma=0.5, decay=0.5, floor=0.2)
    search = Search(optimizer, build_space(SIX), targets=(0,), score=lambda x, _: x.sum(-1))
    for left in (1.0, 0.5, 0.25, 0.2, 0.2):
        steps = search.ask() - search.state.mean.unsqueeze(1)
        assert steps.std().item() == pytest.approx(0.5 * left, rel=0.15)
        before = search.state.mean
        search.run(1)
        # On a slope without end Adam goes a learning rate a generation.
        moved = (search.state.mean - before).abs().mean().item()
        assert moved == pytest.approx(0.2 * left, rel=0.1)


def test_a_generation_that_failed_takes_no_step() -> None:
    search = Search(OpenES(population=8, decay=0.9), build_space(SIX))
    search.run(2)
    before = search.state
    scores = torch.full((3, 8), torch.nan)
    scores[0] = torch.arange(8)
    search.tell(search.ask(), scores)
    assert search.state.steps.tolist() == [3, 2, 2]
    assert not torch.equal(search.state.mean[0], before.mean[0])
    assert torch.equal(search.state.mean[1:], before.mean[1:])
    assert torch.equal(search.state.momentum[1:], before.momentum[1:])


@pytest.mark.parametrize("generations", [150, pytest.param(1_500, marks=pytest.mark.slow)])
def test_single_precision_stays_sound(generations: int) -> None:
    for score in (lambda x, _: x[..., 0], lambda x, _: torch.zeros(len(x))):
        search = Search(OpenES(), build_space(SIX), targets=(0,), score=score)
        for _ in range(generations):
            latents = search.ask()
            search.tell(latents, search.scores(latents))
        assert finite(search.state)
