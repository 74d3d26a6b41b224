"""What every gradient ascent shares: budgets, schedules, restarts, clipping, failed rows."""

import math
from itertools import pairwise

import pytest
import torch

from blackbox_am import plugins
from blackbox_am.core.optimizer import SearchContext
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.optimizers.gradient.adam import Adam
from blackbox_am.optimizers.gradient.sgd import Sgd
from blackbox_am.testing.searches import Search, quadratic

NAMES = ("adam", "nadam", "sgd", "dgn_am", "langevin")
SPACE = build_space(SpaceSpec("normal", 6))


def plain(**parameters: object) -> Sgd:
    """Ascents whose steps have a root mean square of the learning rate."""
    return Sgd(momentum=0.0, **parameters)  # type: ignore[arg-type]


def step_sizes(search: Search, generations: int) -> list[float]:
    """Root mean squares of the steps of the first ascent of the first target."""
    points = [latents[0, 0] for latents in search.run(generations + 1)]
    return [float((b - a).square().mean().sqrt()) for a, b in pairwise(points)]


@pytest.mark.parametrize("name", NAMES)
def test_budget_sets_the_steps(name: str) -> None:
    asked = plugins.optimizers.build(name, {"population": 3, "restarts": 4})
    assert asked.resolve(SPACE, SearchContext(queries_per_target=250)).steps == 83 // 4
    given = plugins.optimizers.build(name, {"steps": 7})
    assert given.resolve(SPACE, SearchContext(queries_per_target=250)).steps == 7


def test_budget_below_the_restarts_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="10 queries a target are 5 generations of 2, and rest"):
        Adam(population=2, restarts=6).resolve(SPACE, SearchContext(queries_per_target=10))


def test_learning_rate_follows_the_schedule() -> None:
    search = Search(
        plain(steps=10, schedule="linear", final_rate=0.0, learning_rate=0.1),
        SPACE,
        score=lambda x, _: x.sum(-1),
        dtype=torch.float64,
    )
    expected = [0.1 * (1 - t / 10) for t in range(10)] + [0.0, 0.0]
    assert step_sizes(search, 12) == pytest.approx(expected)


def test_adam_with_a_schedule_equals_torch() -> None:
    search = Search(
        Adam(population=1, steps=30, schedule="cosine", final_rate=0.0, learning_rate=0.1),
        SPACE,
        targets=(1,),
        dtype=torch.float64,
    )
    theirs = search.ask()[0, 0].clone().requires_grad_()
    reference = torch.optim.Adam([theirs], lr=0.1)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(reference, T_max=30)
    for _ in range(30):
        reference.zero_grad()
        (theirs - 0.4).square().sum().backward()
        reference.step()
        falling.step()
    search.run(30)
    torch.testing.assert_close(search.ask()[0, 0], theirs.detach())


@pytest.mark.parametrize("name", NAMES)
def test_restarts_are_new_ascents(name: str) -> None:
    """An ascent after a restart does what it would do from the same point without a past."""
    optimizer = plugins.optimizers.build(name, {"restarts": 3, "steps": 5, "schedule": "cosine"})
    search = Search(optimizer, SPACE, dtype=torch.float64)
    points = torch.stack(search.run(15))
    assert search.state.generation.tolist() == [15] * 3
    jumps = (points[1:] - points[:-1]).norm(dim=-1).amin(dim=(1, 2))
    assert (jumps[[4, 9]] > 2 * jumps[[3, 8]]).all()
    anew = Search(optimizer, SPACE, dtype=torch.float64)
    anew.state.position.copy_(points[5])
    anew.generation = 5
    torch.testing.assert_close(torch.stack(anew.run(5)), points[5:10])


def test_last_ascent_goes_on() -> None:
    search = Search(plain(restarts=2, steps=4, learning_rate=0.1, population=1), SPACE)
    sizes = step_sizes(search, 14)
    assert [t for t, size in enumerate(sizes) if size > 0.11] == [3]


def test_restart_whose_sample_failed_is_drawn_again() -> None:
    search = Search(plain(restarts=2, steps=2, population=2), SPACE, targets=(0,))
    search.run(2)
    first = search.ask()
    scores = search.scores(first)
    scores[0, 1] = torch.nan
    search.tell(first, scores)
    second = search.ask()
    assert (second - first)[0, 0].norm() < 0.5
    assert (second - first)[0, 1].norm() > 1.0
    assert search.state.begun.tolist() == [[True, False]]


def test_centre_remembers_the_best_ascent_that_ended() -> None:
    search = Search(Adam(restarts=2, steps=300, learning_rate=0.1), SPACE, targets=(0,))
    search.run(300)
    ended = search.center()
    search.run(3)  # at samples of the prior again
    assert ended is not None
    assert torch.equal(search.center(), ended)  # type: ignore[arg-type]
    assert quadratic(ended, 0).item() > -1e-2


def test_clipping_shortens_only_long_gradients() -> None:
    """With an Adam of almost no memory and a large epsilon, steps are in proportion to slopes."""
    optimizer = Adam(population=2, beta1=0.0, beta2=0.0, epsilon=1e6, learning_rate=1e3, clip=2.0)
    search = Search(optimizer, SPACE, targets=(0,), dtype=torch.float64)
    start = search.ask()
    slopes = torch.zeros_like(start)
    slopes[0, 0, 0], slopes[0, 1, 0] = 8.0, 1.5
    state = search.optimizer.tell(SPACE, search.state, start, search.scores(start), slopes)
    moved = (state.position - start)[0, :, 0]
    assert moved.tolist() == pytest.approx([2e-3, 1.5e-3], rel=1e-4)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e30])
@pytest.mark.parametrize("name", NAMES)
def test_rows_without_a_usable_gradient_stay(name: str, bad: float) -> None:
    search = Search(plugins.optimizers.build(name, {"population": 3}), SPACE, targets=(0,))
    start = search.ask()
    slopes = torch.ones_like(start)
    slopes[0, 1, 2] = bad
    state = search.optimizer.tell(SPACE, search.state, start, search.scores(start), slopes)
    moved = (state.position - start).abs().sum(-1)[0]
    assert (moved > 0).tolist() == [True, False, True]
    assert state.steps.tolist() == [[1, 0, 1]]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("parameter", "value", "sentence"),
    [
        ("schedule", "exponential", "'exponential' is none of its values; .*cosine"),
        ("final_rate", 1.5, r"final_rate must be in \[0, 1\], got 1.5"),
        ("restarts", 0, "restarts must be at least 1"),
        ("steps", 0, "steps must be at least 1"),
        ("clip", 0.0, "clip must be positive and finite"),
        ("learning_rate", -1.0, "learning_rate must be positive"),
    ],
)
def test_wrong_parameters_are_refused(
    name: str, parameter: str, value: object, sentence: str
) -> None:
    with pytest.raises(InvalidSpec, match=sentence):
        plugins.optimizers.build(name, {parameter: value})
