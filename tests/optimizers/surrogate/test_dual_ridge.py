"""Ridge regression by the Gram matrix, and the rows that it is fitted to."""

import math
from dataclasses import dataclass

import pytest
import torch

from blackbox_am.generators.parametric.pixels import Pixels as PixelsGenerator
from blackbox_am.optimizers.surrogate import _trust
from blackbox_am.optimizers.surrogate._dual_ridge import PENALTIES, best_penalty, coefficients
from blackbox_am.optimizers.surrogate._pixels import Pixels
from blackbox_am.optimizers.surrogate._recent import bounded, readout, remember


def _normal(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(math.prod(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_coefficients_are_the_ridge_regression_of_textbooks(penalty: float) -> None:
    rows, wanted = _normal(12, 30), _normal(12)
    found = rows.T @ coefficients(rows @ rows.T, wanted, penalty)
    primal = torch.linalg.solve(
        rows.T @ rows + penalty * torch.eye(30, dtype=torch.float64), rows.T @ wanted
    )
    torch.testing.assert_close(found, primal)


@pytest.mark.parametrize("noise", [0.01, 0.3, 3.0])
def test_the_penalty_predicts_rows_left_out_best(noise: float) -> None:
    rows = _normal(20, 10) / 10**0.5
    wanted = rows @ _normal(10) + noise * _normal(20)
    errors = []
    for penalty in PENALTIES:
        error = 0.0
        for row in range(20):
            others = torch.arange(20) != row
            kept = rows[others]
            weights = kept.T @ coefficients(kept @ kept.T, wanted[others], penalty)
            error += float((wanted[row] - rows[row] @ weights) ** 2)
        errors.append(error)
    assert best_penalty(rows @ rows.T, wanted) == PENALTIES[errors.index(min(errors))]


@dataclass
class _Rows:
    generation: torch.Tensor
    pixels: torch.Tensor
    scores: torch.Tensor
    present: torch.Tensor
    gram: torch.Tensor
    penalty: torch.Tensor


def _empty(rows: int, width: int) -> _Rows:
    return _Rows(
        torch.zeros(1, dtype=torch.int64),
        torch.zeros(1, rows, width),
        torch.zeros(1, rows, dtype=torch.float64),
        torch.zeros(1, rows, dtype=torch.bool),
        torch.zeros(1, rows, rows, dtype=torch.float64),
        torch.ones(1, dtype=torch.float64),
    )


def test_the_gram_matrix_is_that_of_the_rows_also_after_old_rows_were_replaced() -> None:
    state, weights = _empty(24, 9), _normal(9)
    for generation in range(8):
        pixels = torch.rand(4, 9, generator=torch.Generator().manual_seed(generation))
        scores = pixels.double() @ weights + 100.0 * generation
        if generation % 3 == 1:
            scores[2] = torch.nan
        remember(state, 0, pixels, scores)
        state.generation += 1
        rows = state.pixels[0].double()
        torch.testing.assert_close(state.gram[0], rows @ rows.T, rtol=1e-5, atol=1e-6)
    found = readout(state, 0, 4, 18.0)
    assert found.norm() == pytest.approx(1.0, abs=1e-5)
    # The level of a generation is not learnt from, so the jumps by 100 do no harm.
    assert torch.corrcoef(torch.stack([found.double(), weights]))[0, 1] > 0.9


def test_one_row_alone_and_equal_scores_teach_nothing() -> None:
    for scores in (torch.tensor([1.0, torch.nan, torch.nan, torch.nan]), torch.ones(4)):
        state = _empty(8, 5)
        remember(state, 0, _normal(4, 5).float(), scores)
        state.generation += 1
        assert not readout(state, 0, 4, 18.0).any()
        assert state.pixels.isfinite().all()


def test_rows_that_were_not_rendered_teach_nothing() -> None:
    state = _empty(8, 5)
    pixels = _normal(4, 5).float()
    pixels[1, 2] = torch.nan
    remember(state, 0, pixels, torch.arange(4.0))
    assert state.present[0, :4].tolist() == [True, False, True, True]
    assert state.pixels.isfinite().all()


def test_infinite_scores_are_moved_to_the_others() -> None:
    found = bounded(torch.tensor([torch.inf, 3.0, -torch.inf, -1.0, torch.nan]))
    assert found[:4].tolist() == [3.0, 3.0, -1.0, -1.0]
    assert found[4].isnan()
    assert bounded(torch.tensor([torch.inf, -torch.inf])).tolist() == [0.0, 0.0]


def test_larger_pictures_are_reduced() -> None:
    generator = PixelsGenerator((3, 10, 6))
    whole, reduced = Pixels(generator, 64), Pixels(generator, 4)
    latents = torch.randn(2, generator.space.dim)
    assert whole.width == 180
    assert reduced.width == 3 * 4 * 2  # squares of 3 x 3, smaller ones at the edge
    pictures = generator.render(latents)
    torch.testing.assert_close(whole.features(latents), pictures.flatten(1))
    found = reduced.features(latents).reshape(2, 3, 4, 2)
    torch.testing.assert_close(found[:, :, 1, 0], pictures[:, :, 3:6, :3].mean((2, 3)))


@pytest.mark.parametrize(
    ("scores", "best", "factor"),
    [
        ([1.0, 2.0, 0.0], 0.5, _trust.LONGER),
        ([2.0, 1.0, 0.0], 0.5, _trust.KEPT),
        ([0.0, torch.nan, 2.0], 0.5, _trust.KEPT),
        ([1.0, 2.0, 0.0], 2.0, _trust.SHORTER),
        ([1.0, torch.nan, torch.nan], -math.inf, _trust.KEPT),
    ],
)
def test_the_radius_follows_the_best_row_of_the_path(
    scores: list[float], best: float, factor: float
) -> None:
    assert _trust.factor_by_best(torch.tensor(scores), best) == factor


def test_the_radius_follows_the_mean_under_noise() -> None:
    low, high, lost = (
        torch.tensor([0.0, 9.0]),
        torch.tensor([6.0, torch.nan]),
        torch.full((2,), torch.nan),
    )
    assert _trust.factor_by_mean(high, low) == _trust.LONGER_IN_MEAN
    assert _trust.factor_by_mean(low, high) == _trust.SHORTER_IN_MEAN
    assert _trust.factor_by_mean(lost, low) == 1.0


def test_radii_are_those_of_the_measured_dimensions() -> None:
    few, many = _trust.exact_radii(128), _trust.exact_radii(4096)
    assert (few.first, few.low) == pytest.approx((5.0, 0.5))
    assert (many.first, many.low) == pytest.approx((8.0, 2.0))
    noisy = _trust.noisy_radii(4096)
    assert (noisy.first, noisy.low, noisy.high) == pytest.approx((8.0, 6.0, 40.0))
    assert float(few.scaled(torch.tensor(60.0), 1.5)) == 64.0
