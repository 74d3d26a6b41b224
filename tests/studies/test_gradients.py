"""Studies with optimizers of order 1, and with estimated gradients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import blackbox_am
from blackbox_am.core.types import StopReason, StudyProgress
from blackbox_am.errors import GradientUnavailable

ORDER_1 = ("adam", "nadam", "sgd", "dgn_am", "langevin")


class Broken(torch.autograd.Function):
    """The identity, whose gradient is nan."""

    @staticmethod
    def forward(ctx: object, values: torch.Tensor) -> torch.Tensor:
        """The values."""
        return values.clone()

    @staticmethod
    def backward(ctx: object, slopes: torch.Tensor) -> torch.Tensor:
        """nan, but 0 for rows whose score does not read the values."""
        return torch.where(slopes == 0, 0.0, torch.nan)


class Half(torch.nn.Module):
    """Two units with the same values, of which unit 1 has a gradient of nan."""

    def forward(self, stimuli: torch.Tensor) -> torch.Tensor:
        """(N, 2)."""
        mean = stimuli.flatten(1).mean(1)
        return torch.stack([mean, Broken.apply(mean)], dim=1)


@pytest.fixture(scope="module")
def model() -> blackbox_am.TorchModule:
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.GELU(), torch.nn.Flatten(), torch.nn.Linear(144, 5)
    )
    return blackbox_am.TorchModule(net, stimulus_shape=(3, 8, 8), device="cpu")


def maximise(oracle: object, **changes: object) -> blackbox_am.Result:
    wanted = {
        "oracle": oracle,
        "generator": blackbox_am.Pixels((3, 8, 8)),
        "targets": ["3:0", "3:1", "3:4"],
        "queries_per_target": 40,
        "device": "cpu",
    }
    return blackbox_am.maximise(**{**wanted, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ORDER_1)
def test_every_ascent_climbs_with_restarts_and_a_schedule(
    model: blackbox_am.TorchModule, name: str
) -> None:
    parameters = {"restarts": 2, "schedule": "cosine", "learning_rate": 0.2, "population": 1}
    found = maximise(model, optimizer=name, parameters=parameters)
    drawn = maximise(model, optimizer="random")
    assert found.progress.stop_reason is StopReason.BUDGET
    for ours, random in zip(found.best, drawn.best, strict=True):
        assert ours.score > random.score + 0.2


@pytest.mark.parametrize("name", ["adam", "langevin"])
def test_a_target_climbs_as_it_would_alone(model: blackbox_am.TorchModule, name: str) -> None:
    """All targets share one backward pass. The batches of the two studies have other sizes, so the
    last bits of the model may differ."""
    together = maximise(model, optimizer=name, parameters={"restarts": 2})
    alone = maximise(model, optimizer=name, parameters={"restarts": 2}, targets=["3:1"])
    assert alone.best[0].score == pytest.approx(together.best[1].score, rel=1e-5)
    np.testing.assert_allclose(alone.best[0].latent, together.best[1].latent, atol=1e-5)
    assert together.progress.spent.backward_rows == 3 * 40


@pytest.mark.parametrize("name", ORDER_1)
def test_rows_with_a_nan_gradient_stay_where_they_are(name: str) -> None:
    oracle = blackbox_am.TorchModule(Half(), stimulus_shape=(3, 8, 8), device="cpu")
    parameters = {"population": 2, "learning_rate": 0.2}
    if name == "langevin":
        parameters["noise"] = 0.0
    found = maximise(
        oracle,
        targets=["output:0", "output:1"],
        optimizer=name,
        parameters=parameters,
        keep_latents="all",
    )
    path = np.stack(found.latents)
    scores = np.concatenate([generation.scores for generation in found.history], axis=1)
    assert np.isfinite(scores).all()
    assert (path[:, 1] == path[0, 1]).all()
    assert scores[0, -1] > scores[0, 0] + 0.1
    alone = maximise(oracle, targets=["output:0"], optimizer=name, parameters=parameters)
    assert alone.best[0].score == found.best[0].score


def test_ascents_in_bfloat16(model: blackbox_am.TorchModule) -> None:
    coarse = blackbox_am.TorchModule(
        model.model, stimulus_shape=(3, 8, 8), device="cpu", dtype="bfloat16"
    )
    found, exact = (maximise(oracle, optimizer="adam") for oracle in (coarse, model))
    for ours, theirs in zip(found.best, exact.best, strict=True):
        assert ours.score == pytest.approx(theirs.score, abs=0.05)


@pytest.mark.parametrize("inner", ["adam", "sgd", "dgn_am"])
def test_estimated_gradients_need_none(inner: str) -> None:
    oracle = blackbox_am.Simulated((3, 8, 8), units=5)
    with pytest.raises(GradientUnavailable, match="use a gradient-free optimizer"):
        maximise(oracle, targets=["units:0"], optimizer=inner)
    found = maximise(
        oracle,
        targets=["units:0", "units:3"],
        optimizer="estimated_gradient",
        parameters={
            "inner": inner,
            "inner_parameters": {"population": 1, "learning_rate": 0.2, "schedule": "linear"},
            "samples": 20,
            "sigma": 0.1,
        },
        queries_per_target=1000,
    )
    drawn = maximise(
        oracle, targets=["units:0", "units:3"], optimizer="random", queries_per_target=1000
    )
    assert found.progress.search_rows == 2000
    for ours, random in zip(found.best, drawn.best, strict=True):
        assert ours.score > random.score + 0.01


class Stopped(Exception):
    """Ends a search as a closed process would."""


@pytest.mark.parametrize("name", ORDER_1)
def test_a_search_that_was_stopped_three_times_ends_with_the_same_bits(
    model: blackbox_am.TorchModule, name: str, tmp_path: Path
) -> None:
    whole = maximise(model, optimizer=name)
    for rows in (12, 42, 66):

        def stop(progress: StudyProgress, rows: int = rows) -> None:
            if progress.search_rows >= rows:
                raise Stopped

        with pytest.raises(Stopped):
            maximise(model, optimizer=name, store=tmp_path / "s.sqlite3", on_generation=stop)
    parts = maximise(model, optimizer=name, store=tmp_path / "s.sqlite3")
    assert [one.scores.tolist() for one in parts.history] == [
        one.scores.tolist() for one in whole.history
    ]
    for one, other in zip(parts.best, whole.best, strict=True):
        np.testing.assert_array_equal(one.latent, other.latent)
