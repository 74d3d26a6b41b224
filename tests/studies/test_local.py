"""A whole study in one call: with models at hand, taken up again, with and without gradients."""

from __future__ import annotations

import pytest
import torch

import blackbox_am
from blackbox_am.core.types import StopReason, StudyState
from blackbox_am.errors import GradientUnavailable, StudyExists, UnknownUnit


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(inplace=True), torch.nn.Flatten(),
        torch.nn.Linear(4 * 36, 5),
    )  # fmt: skip
    return blackbox_am.TorchModule(net, stimulus_shape=(3, 8, 8), device="cpu")


def maximise(model, **changes):
    wanted = {
        "oracle": model,
        "generator": blackbox_am.Pixels((3, 8, 8)),
        "targets": ["3:0", "3:1", blackbox_am.Mean(("0:2",)) - blackbox_am.Mean(("0:1",))],
        "queries_per_target": 400,
        "device": "cpu",
    }
    return blackbox_am.maximise(**{**wanted, **changes})


def test_units_of_layers_are_targets_and_penalties_are_subtracted_from_all(model):
    units = blackbox_am.units_of_layers(model, "0,3", 2)
    assert units == ["0:1", "0:3", "3:1", "3:3"]
    found = maximise(model, targets=units, penalties={"stimulus.tv": 0.5}, queries_per_target=20)
    assert [best.title for best in found.best] == [f"{unit} - 0.5*stimulus.tv" for unit in units]
    for best in found.best:
        assert best.values is not None
        assert best.score == pytest.approx(best.values[0] - 0.5 * best.values[1])


@pytest.mark.slow
def test_octaves_search_with_and_without_gradients(model):
    for optimizer in ("octaves", "gradient_octaves"):
        parameters = {"octaves": 2}
        small = {"targets": "3:0", "queries_per_target": 120}
        found = maximise(model, optimizer=optimizer, parameters=parameters, **small)
        drawn = maximise(model, optimizer="random", **small)
        assert found.progress.search_rows == 120
        assert found.best[0].score > drawn.best[0].score


def test_cma_beats_random_on_every_target(model):
    found, drawn = maximise(model), maximise(model, optimizer="random")
    assert found.progress.state is StudyState.SUCCEEDED
    assert found.progress.stop_reason is StopReason.BUDGET
    assert found.progress.search_rows == 3 * 400
    for best, chance in zip(found.best, drawn.best, strict=True):
        assert best.score > chance.score
        assert best.stimulus.shape == (3, 8, 8)


def test_what_it_reports_is_what_the_model_says(model):
    result = maximise(model)
    stimuli = torch.stack([torch.from_numpy(best.stimulus) for best in result.best[:2]])
    units = [blackbox_am.Mean((f"3:{k}",)).reads()[0] for k in range(2)]
    activations = model.observe(stimuli, units)
    for k in range(2):
        assert float(activations[k, k]) == pytest.approx(result.best[k].score, rel=1e-5)
    assert sum(generation.scores.size for generation in result.history) == 1200


def test_gradients_climb_further_on_the_same_problem(model):
    climbed = maximise(model, optimizer="adam", parameters={"population": 2})
    drawn = maximise(model, optimizer="random")
    assert all(a.score > b.score for a, b in zip(climbed.best, drawn.best, strict=True))


def test_gradients_are_refused_where_there_are_none():
    oracle = blackbox_am.Simulated((3, 8, 8))
    with pytest.raises(GradientUnavailable, match="use a gradient-free optimizer"):
        maximise(oracle, targets=["units:0"], optimizer="adam")


def test_gradients_of_labels_are_refused(model):
    label = blackbox_am.Label(tuple(f"3:{k}" for k in range(5)), label=1)
    with pytest.raises(GradientUnavailable, match="objective 'label' has none"):
        maximise(model, targets=[label], optimizer="adam")


def test_a_stopped_search_goes_on_to_the_same_end(model, tmp_path):
    store = str(tmp_path / "s.sqlite3")

    class Stop(Exception):
        pass

    def stop(progress):
        if progress.generation == 7:
            raise Stop

    with pytest.raises(Stop):
        maximise(model, store=store, on_generation=stop)
    resumed, whole = maximise(model, store=store), maximise(model)
    for one, other in zip(resumed.best, whole.best, strict=True):
        assert one.score == other.score
        assert (one.latent == other.latent).all()


def test_the_same_id_for_something_else_is_refused(model, tmp_path):
    store = str(tmp_path / "s.sqlite3")
    maximise(model, store=store, queries_per_target=20)
    with pytest.raises(StudyExists):
        maximise(model, store=store, queries_per_target=20, seed=1)


def test_a_unit_that_does_not_exist_is_named(model):
    with pytest.raises(UnknownUnit, match="units 0 to 4"):
        maximise(model, targets=["3:5"])
