"""Two-point step-size adaptation: what it tests, and what it concludes."""

import math

import pytest
import torch

from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.optimizers.evolution import _two_point as two_point
from blackbox_am.optimizers.evolution.sep_cma import SepCMA
from blackbox_am.testing.searches import Search, finite

NAN = math.nan


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([5.0, 1.0, 2.0, 3.0, 0.0], (3 / 4) ** 0.5),  # ahead is best, three rows better than behind
        ([1.0, 5.0, 2.0, 3.0, 0.0], -((3 / 4) ** 0.5)),
        ([2.0, 2.0, 5.0, 3.0, 0.0], 0.0),
        ([NAN, 1.0, 2.0, 3.0, 0.0], 0.0),
        ([5.0, 1.0, 2.0, NAN, 0.0], (2 / 3) ** 0.5),
    ],
)
def test_the_signal_is_the_root_of_the_difference_of_ranks(
    scores: list[float], expected: float
) -> None:
    row = torch.tensor([scores], dtype=torch.float64)
    found = two_point.signal(row, torch.tensor([True]))
    assert found.item() == pytest.approx(expected)
    assert two_point.signal(row, torch.tensor([False])).item() == 0


def test_two_rows_test_the_last_move() -> None:
    space = build_space(SpaceSpec("normal", 64))
    search = Search(SepCMA(step_size="tpa", population=12), space, dtype=torch.float64)
    search.run(3)
    before = search.state.mean.clone()
    search.run(1)
    ahead, behind = search.ask()[:, 0], search.ask()[:, 1]
    move = search.state.mean - before
    torch.testing.assert_close((ahead + behind) / 2, search.state.mean)
    cosine = torch.cosine_similarity(ahead - search.state.mean, move, dim=-1)
    torch.testing.assert_close(cosine, torch.ones_like(cosine))
    usual = Search(SepCMA(step_size="csa", population=12), space, dtype=torch.float64)
    usual.run(4)
    assert not torch.allclose((usual.ask()[:, 0] + usual.ask()[:, 1]) / 2, usual.state.mean)


@pytest.mark.parametrize(("dim", "tests"), [(299, False), (300, True)])
def test_is_the_default_in_high_dimensions(dim: int, tests: bool) -> None:
    search = Search(SepCMA(), build_space(SpaceSpec("normal", dim)), targets=(0,))
    search.run(2)
    middle = search.ask()[:, :2].mean(1)
    assert torch.allclose(middle, search.state.mean, atol=1e-5) == tests


def test_steps_grow_on_a_slope_and_shrink_on_a_top() -> None:
    space = build_space(SpaceSpec("normal", 32))
    optimizer = SepCMA(step_size="tpa", population=20, sigma=0.1)
    slope = Search(optimizer, space, targets=(0,), score=lambda x, _: x.double().sum(-1))
    slope.run(60)
    top = Search(optimizer, space, targets=(0,), score=lambda x, _: -x.double().square().sum(-1))
    top.run(60)
    assert float(slope.state.sigma) > 1
    assert float(top.state.sigma) < 0.05
    assert finite(slope.state)
    assert finite(top.state)
