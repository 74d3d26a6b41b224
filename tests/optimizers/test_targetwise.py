"""Sums and products of K targets have the bits of each target alone."""

from collections.abc import Callable

import pytest
import torch

from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.optimizers._frame import frame_of
from blackbox_am.optimizers._targetwise import LARGE, for_each, norms, row_sums, weighted_sum
from blackbox_am.optimizers.evolution._factor import factor
from blackbox_am.optimizers.evolution._told import proposals, shorten, steps_of
from blackbox_am.optimizers.evolution._triangular import (
    add_outer,
    factor_in_panels,
    panels,
    times_factor,
)

DIMS = (1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 64, 100, 127, 128, 129, 512, 513)
POPULATIONS = (1, 2, 3, 4, 5, 16, 17, 20, 33, 64)
Reduction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def _rows(targets: int, population: int, dim: int, dtype: torch.dtype) -> torch.Tensor:
    generator = torch.Generator().manual_seed(dim + 1_000 * population)
    return torch.randn(targets, population, dim, generator=generator, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "reduce",
    [
        lambda w, x: weighted_sum(w, x),
        lambda w, x: row_sums(x),
        lambda w, x: norms(x),
        lambda w, x: norms(x[:, 0]),
        lambda w, x: row_sums(w),
        lambda w, x: torch.stack(shorten(x.clone(), x.shape[-1]), dim=1),
    ],
    ids=["weighted_sum", "row_sums", "norms", "norms of vectors", "sums of weights", "shorten"],
)
def test_bits_do_not_depend_on_the_number_of_targets(reduce: Reduction, dtype: torch.dtype) -> None:
    for population in POPULATIONS:
        for dim in DIMS:
            rows = _rows(64, population, dim, dtype)
            weights = rows[..., 0] - 0.3
            whole = reduce(weights, rows)
            for part in (slice(0, 1), slice(63, 64), slice(5, 7), slice(10, 13)):
                alone = reduce(weights[part], rows[part])
                assert torch.equal(alone, whole[part]), (population, dim, part)


@pytest.mark.parametrize("shape", [(33, 2001), (64, 512), (7, 4099)])
def test_bits_of_large_sums_do_not_depend_on_where_a_target_lies(shape: tuple[int, int]) -> None:
    """Later targets of a batch begin at other places of a cache line."""
    assert shape[0] * shape[1] > LARGE - 1 or shape == (7, 4099)
    rows = _rows(3, *shape, torch.float32)
    weights = rows[..., 0].contiguous()
    whole = weighted_sum(weights, rows)
    for k in range(3):
        lone = rows[k : k + 1].clone(), weights[k : k + 1].clone()
        assert torch.equal(weighted_sum(lone[1], lone[0])[0], whole[k])


@pytest.mark.parametrize("population", POPULATIONS)
@pytest.mark.parametrize("dim", [3, 100, 4096])
def test_weighted_sums_are_right(population: int, dim: int) -> None:
    rows = _rows(2, population, dim, torch.float64)
    weights = rows[..., 0].contiguous()
    expected = (weights.unsqueeze(-1) * rows).sum(1)
    torch.testing.assert_close(weighted_sum(weights, rows), expected)


def test_steps_are_those_proposed_and_the_missing_are_zero() -> None:
    space = build_space(SpaceSpec("box", 6, low=(-1.0,), high=(0.0, 1.0, 2.0, 3.0, 4.0, 5.0)))
    rows = _rows(3, 5, 6, torch.float64)
    frame, mean, spread = frame_of(space, rows), rows[:, 0], rows[:, 1].square() + 0.1
    latents = proposals(frame, mean, spread, rows.clone())
    torch.testing.assert_close(
        frame.inward(latents), mean.unsqueeze(1) + spread.unsqueeze(1) * rows
    )
    valid = torch.ones(3, 5, dtype=torch.bool)
    valid[1, 2] = False
    steps = steps_of(frame, latents, mean, spread, valid)
    torch.testing.assert_close(steps[valid], rows[valid])
    assert not steps[1, 2].any()


def test_endless_steps_say_nothing() -> None:
    rows = _rows(2, 4, 9, torch.float32)
    rows[0, 1] *= 1e30
    rows[1, 3] *= 100
    shrink, squared = shorten(rows, 9)
    assert not rows[0, 1].any()
    assert shrink[0, 1] == 0
    assert squared[0, 1] == squared[1, 3] == 12.0**2
    torch.testing.assert_close(rows[1, 3].norm() * shrink[1, 3], torch.tensor(12.0))
    assert shrink[0, 0] == 1


@pytest.mark.parametrize("dim", [5, 512, 513, 1100])
def test_triangles_in_panels(dim: int) -> None:
    assert sum(part.stop - part.start for part in panels(dim)) == dim
    rows = _rows(1, 6, dim, torch.float64)[0]
    noise = _rows(1, dim, dim, torch.float64)[0] / dim**0.5
    covariance = noise @ noise.T + torch.eye(dim, dtype=torch.float64)
    lower, failed = factor_in_panels(covariance.tril())
    assert not failed
    torch.testing.assert_close(lower @ lower.T, covariance)
    assert not lower.triu(1).any()
    torch.testing.assert_close(times_factor(rows, lower), rows @ lower.T)
    weights = rows[:, 0]
    expected = 0.7 * covariance + (weights.unsqueeze(-1) * rows).T @ rows
    add_outer(covariance, 0.7, weights, rows)
    torch.testing.assert_close(covariance.tril(), expected.tril())


def test_panels_say_where_a_covariance_is_not_positive() -> None:
    covariance = torch.eye(1100)
    covariance[1000, 1000] = -1.0
    assert factor_in_panels(covariance)[1] > 0
    mended = factor(covariance.unsqueeze(0))
    assert mended.isfinite().all()


def test_large_factors_do_not_know_the_other_targets() -> None:
    noise = for_each(lambda x: x @ x.T / 600, _rows(2, 600, 600, torch.float32))
    covariance = noise + torch.eye(600)
    together = factor(covariance.clone())
    for k in range(2):
        assert torch.equal(factor(covariance[k : k + 1].clone())[0], together[k])
