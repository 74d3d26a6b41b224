"""Langevin chains: the three terms, and the distribution that they sample."""

import pytest
import torch

from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.optimizers.gradient.langevin import Langevin
from blackbox_am.plugins import optimizers
from blackbox_am.testing.searches import Search


def test_samples_the_posterior() -> None:
    """With a step of e^2 / 2 on both gradients and noise of deviation e, the chains sample the
    density exp(score) times the prior: for the score -|x - .3|^2 a normal law with precision 3
    and mean .2.
    """
    step = 0.05
    optimizer = Langevin(
        population=150, learning_rate=step, prior=step, noise=(2 * step) ** 0.5, normalise=False
    )
    search = Search(optimizer, build_space(SpaceSpec("normal", 8)), targets=(0,))
    samples = torch.stack(search.run(120)[60::10])
    assert samples.mean().item() == pytest.approx(0.2, abs=0.03)
    assert samples.var().item() == pytest.approx(1 / 3, rel=0.12)


def told(optimizer: Langevin, spec: SpaceSpec, slopes: torch.Tensor) -> torch.Tensor:
    """The move of one step from a sample, in frame coordinates."""
    space = build_space(spec)
    search = Search(optimizer, space, targets=(0,), dtype=torch.float64)
    start = search.state.position.clone()
    latents = space.project(search.ask())
    state = search.optimizer.tell(space, search.state, latents, torch.zeros(1, 1), slopes)
    return state.position - start


def test_prior_term_pulls_where_the_prior_is_normal() -> None:
    flat = torch.zeros(1, 1, 4, dtype=torch.float64)
    optimizer = Langevin(population=1, prior=0.1)
    normal = SpaceSpec("normal", 4)
    start = Search(optimizer, build_space(normal), targets=(0,), dtype=torch.float64).ask()
    torch.testing.assert_close(told(optimizer, normal, flat), -0.1 * start)
    box = SpaceSpec("box", 4, low=(0.0,), high=(1.0,))
    torch.testing.assert_close(told(optimizer, box, flat), flat)


def test_condition_term_has_the_size_of_the_learning_rate() -> None:
    slopes = torch.tensor([[[3e5, -4e5, 0.0, 0.0]]], dtype=torch.float64)
    moved = told(
        Langevin(population=1, prior=0.0, learning_rate=0.2), SpaceSpec("normal", 4), slopes
    )
    assert moved[0, 0].tolist() == pytest.approx([0.24, -0.32, 0.0, 0.0])


def test_first_point_has_no_noise_and_a_falling_schedule_cools() -> None:
    space = build_space(SpaceSpec("normal", 50))
    optimizer = Langevin(
        population=4, noise=0.5, schedule="linear", final_rate=0.0, steps=10, learning_rate=1e-9
    )
    search = Search(optimizer, space, targets=(0,))
    torch.testing.assert_close(search.ask(), search.state.position)
    sizes = []
    for _ in range(10):
        search.run(1)
        sizes.append((search.ask() - search.state.position).std().item())
    expected = [0.5 * (1 - t / 10) for t in range(1, 11)]
    assert sizes == pytest.approx(expected, rel=0.15, abs=1e-6)


def test_wrong_noise_is_refused() -> None:
    with pytest.raises(InvalidSpec, match=r"noise must be 0 or more and finite, got -0\.1"):
        optimizers.build("langevin", {"noise": -0.1})
