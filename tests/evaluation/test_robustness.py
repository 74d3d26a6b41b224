"""Scores of stimuli under fixed random transformations."""

import numpy as np
import pytest
import torch

from blackbox_am.catalogue import Catalogue
from blackbox_am.core.chain import Chain
from blackbox_am.core.metering import metering
from blackbox_am.core.objective import Objective
from blackbox_am.core.types import Accounting
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, ShapeMismatch, UnknownUnit
from blackbox_am.evaluation.robustness import DEFAULT_TRANSFORMS, robust_scores
from blackbox_am.objectives.mean import Mean
from blackbox_am.oracles.simulated import Simulated

OBJECTIVES: list[Objective] = [
    Mean(("units:1",)),
    Mean(("units:0",)) - 0.5 * Mean(("stimulus.tv",)),
    Mean(("units:1", "units:2")),
]


def stimuli(rows: int = 3, shape: tuple[int, ...] = (3, 8, 8)) -> torch.Tensor:
    return torch.rand(rows, *shape, generator=torch.Generator().manual_seed(0))


def test_each_stimulus_has_the_score_of_its_own_objective() -> None:
    images, oracle = stimuli(), Simulated()
    scores = robust_scores(oracle, images, OBJECTIVES, count=5)
    assert scores.shape == (3, 5)
    assert scores.dtype == np.float64
    chain = Chain(DEFAULT_TRANSFORMS, 0, purpose="robust_scores")
    variation = images[1].diff(dim=1).abs().sum() + images[1].diff(dim=2).abs().sum()
    variation /= images[1].diff(dim=1).numel() + images[1].diff(dim=2).numel()
    for copy in range(5):
        shown = chain.draw((3, 8, 8), 0, copy)(images)
        values = oracle.observe(shown, [Unit("units", j) for j in range(3)])
        expected = [values[0, 1], values[1, 0] - 0.5 * variation, values[2, 1:].mean()]
        np.testing.assert_allclose(scores[:, copy], expected, rtol=1e-5)
    assert (scores.std(axis=1) > 0).all()


@pytest.mark.parametrize("batch_size", [2, 7, 64])
def test_batches_and_neighbours_change_nothing(batch_size: int) -> None:
    images = stimuli()
    whole = robust_scores(Simulated(), images, OBJECTIVES, count=6)
    parts = [
        robust_scores(Simulated(), images[i : i + 1], OBJECTIVES[i : i + 1], count=6)
        for i in range(3)
    ]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-6)
    other = robust_scores(Simulated(), images, OBJECTIVES, count=6, batch_size=batch_size)
    np.testing.assert_allclose(other, whole, rtol=1e-6)
    again = robust_scores(Simulated(), images, OBJECTIVES, count=6)
    assert again.tobytes() == whole.tobytes()


def test_the_seed_fixes_the_transformations_and_rows_are_counted() -> None:
    images = stimuli(2)
    with metering() as meter:
        first = robust_scores(Simulated(), images, OBJECTIVES[:2], count=32, seed=1)
    assert meter.total == Accounting(calls=1, rows=64)
    assert not np.array_equal(
        first, robust_scores(Simulated(), images, OBJECTIVES[:2], count=32, seed=2)
    )
    few = robust_scores(Simulated(), images, OBJECTIVES[:2], count=3, seed=1)
    np.testing.assert_allclose(few, first[:, :3], rtol=1e-6)


def test_a_series_is_shifted_and_scaled_in_time() -> None:
    oracle = Catalogue.default().oracle("cbf_cnn")
    (length,) = oracle.describe().stimulus_shape[1:]
    series = stimuli(2, (1, length))
    scores = robust_scores(oracle, series, [Mean(("head:0",))] * 2, count=4)
    assert np.isfinite(scores).all()
    assert (scores.std(axis=1) > 0).all()


def test_what_cannot_be_scored_is_said() -> None:
    images = stimuli(1)
    with pytest.raises(ShapeMismatch, match="one for each of the 1 stimuli, got 3"):
        robust_scores(Simulated(), images, OBJECTIVES)
    with pytest.raises(
        InvalidSpec, match=r"latent.norm: the score of a given stimulus can read units"
    ):
        robust_scores(Simulated(), images, [Mean(("latent.norm",))])
    with pytest.raises(UnknownUnit):
        robust_scores(Simulated(), images, [Mean(("nothing:1",))])
    with pytest.raises(InvalidSpec, match=r"got stimuli of shape \(5,\)"):
        robust_scores(Simulated((5,)), stimuli(1, (5,)), [Mean(("units:1",))])
    assert robust_scores(Simulated(), images[:0], [], count=3).shape == (0, 3)
