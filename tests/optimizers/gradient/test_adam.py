"""Gradient ascent is Adam, row by row."""

import pytest
import torch

from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.optimizers.gradient.adam import Adam
from blackbox_am.testing.searches import Search


def test_equals_torch() -> None:
    space = build_space(SpaceSpec("normal", 6))
    optimizer = Adam(population=3, learning_rate=0.07, beta1=0.8, beta2=0.99, decay=0.2)
    search = Search(optimizer, space, targets=(1,), dtype=torch.float64)
    mine = search.ask()
    theirs = mine[0].clone().requires_grad_()
    reference = torch.optim.AdamW([theirs], lr=0.07, betas=(0.8, 0.99), weight_decay=0.2)
    for _ in range(50):
        reference.zero_grad()
        (theirs - 0.4).square().sum().backward()
        reference.step()
    search.run(50)
    torch.testing.assert_close(search.ask()[0], theirs.detach())


def test_a_target_climbs_from_one_beginning_of_its_own_unless_told_otherwise() -> None:
    space = build_space(SpaceSpec("normal", 6))
    asked = Search(Adam(), space, targets=(0, 1)).ask()
    assert asked.shape == (2, 1, 6)
    assert not torch.equal(asked[0], asked[1])
    two = Search(Adam(population=2), space, targets=(0, 1)).ask()
    assert torch.equal(two[:, :1], asked)
    assert not torch.equal(two[:, 1:], asked)


@pytest.mark.parametrize("beta1", [0.0, 0.9])
def test_reaches_the_top(beta1: float) -> None:
    space = build_space(SpaceSpec("normal", 16))
    search = Search(Adam(beta1=beta1, learning_rate=0.05), space)
    search.run(400)
    assert search.scores(search.ask()).min() > -5e-3


def test_steps_are_measured_in_the_prior() -> None:
    """The first step of Adam is the learning rate, here of the prior's deviation."""
    space = build_space(SpaceSpec("box", 2, low=(-10.0, -1e-3), high=(10.0, 1e-3)))
    search = Search(
        Adam(population=50, learning_rate=0.05), space, targets=(0,), score=lambda x, _: x.sum(-1)
    )
    start = search.ask()
    inside = torch.ones_like(start)
    scores = search.scores(start)
    state = search.optimizer.tell(space, search.state, start, scores, inside)
    moved = search.optimizer.ask(space, state, None) - start
    widths = torch.tensor([20.0, 2e-3])
    expected = 0.05 * widths / 12**0.5
    room = torch.tensor([10.0, 1e-3]) - start
    torch.testing.assert_close(
        moved, torch.minimum(expected.expand_as(moved), room), rtol=1e-3, atol=1e-6
    )


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_rows_without_a_gradient_stay(bad: float) -> None:
    space = build_space(SpaceSpec("normal", 5))
    search = Search(Adam(population=4), space, targets=(0,))
    start = search.ask()
    gradients = torch.ones_like(start)
    gradients[0, 2, 3] = bad
    scores = search.scores(start)
    scores[0, 1] = torch.nan
    state = search.optimizer.tell(space, search.state, start, scores, gradients)
    moved = (state.position - start).abs().sum(-1)[0]
    assert (moved > 0).tolist() == [True, False, False, True]
    assert state.steps.tolist() == [[1, 0, 0, 1]]


def test_decay_pulls_towards_the_prior() -> None:
    space = build_space(SpaceSpec("normal", 8))
    flat = torch.zeros(1, 4, 8)
    for decay, factor in ((0.0, 1.0), (1.0, 0.95)):
        search = Search(Adam(population=4, learning_rate=0.05, decay=decay), space, targets=(0,))
        start = search.ask()
        state = search.optimizer.tell(space, search.state, start, torch.zeros(1, 4), flat)
        torch.testing.assert_close(state.position, factor * start)


def test_the_centre_is_the_ascent_whose_last_scores_were_highest() -> None:
    space = build_space(SpaceSpec("normal", 4))
    search = Search(Adam(population=2), space, targets=(0,))
    for _ in range(30):
        latents = search.ask()
        noise = 3.0 * (search.generation % 2)  # row 0 has single scores above those of row 1
        search.tell(latents, torch.tensor([[-1.0 + noise, 1.0]]))
    torch.testing.assert_close(search.center(), search.ask()[:, 1])
