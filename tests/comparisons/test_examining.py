"""Measurements of the found stimuli: each number against its definition on small networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import chi
from torch import nn

from blackbox_am.comparisons import examining, likeness
from blackbox_am.comparisons.answering import all_answers, features, penultimate
from blackbox_am.comparisons.examining import examine
from blackbox_am.comparisons.results import ComparedUnit, ComparisonResult, Method, Run
from blackbox_am.comparisons.twins import Twin, find_twins, transfer
from blackbox_am.comparisons.typicality import typicality
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.core.units import Unit
from blackbox_am.errors import ShapeMismatch
from blackbox_am.evaluation.robustness import robust_scores
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.objectives.mean import Mean
from blackbox_am.oracles.torch.torch_module import TorchModule

SHAPE = (3, 6, 6)
UNITS = ("2:0", "2:3")


def network(seed: int) -> TorchModule:
    torch.manual_seed(seed)
    layers = nn.Flatten(), nn.Linear(108, 7), nn.Linear(7, 4)
    return TorchModule(nn.Sequential(*layers).eval(), stimulus_shape=SHAPE)


@pytest.fixture(scope="module")
def oracle() -> TorchModule:
    return network(0)


@pytest.fixture(scope="module")
def natural() -> np.ndarray:
    return np.random.default_rng(0).random((40, *SHAPE), np.float32)


def run(unit: str, seed: int, score: float, method: str = "adam", **changes: object) -> Run:
    draw = np.random.default_rng([seed, len(method), UNITS.index(unit)])
    stimulus = draw.random(SHAPE, np.float32)
    given = {"latent": stimulus.ravel(), "stimulus": stimulus, **changes}
    return Run(
        method, unit, seed, score, 0.0, **given,
        equivalents=np.array([1.0]), best_so_far=np.array([score]), rows=1, backward_rows=0,
        seconds=1.0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def result(oracle: TorchModule, natural: np.ndarray) -> ComparisonResult:
    scores = all_answers(oracle, natural, [Unit.parse(unit) for unit in UNITS]).numpy()
    units = [
        ComparedUnit(unit, "2", scores[:, column], natural[0], 0.1)
        for column, unit in enumerate(UNITS)
    ]
    runs = [run(unit, seed, 1.0) for unit in UNITS for seed in range(3)]
    nothing = run(UNITS[0], 3, float("nan"), stimulus=None, latent=np.empty(0))
    methods = [Method(name, name, {}, 0, 1.0, 100) for name in ("adam", "cma")]
    return ComparisonResult(
        "test", {}, "adam", 100.0, (0, 1, 2, 3), tuple(methods), tuple(units),
        (*runs, nothing), (),
    )  # fmt: skip


def test_what_is_missing_stays_unknown(result: ComparisonResult, oracle: TorchModule) -> None:
    found = examine(result, oracle=oracle, generator=Pixels(SHAPE))
    numbers = [(run.plausibility, run.transfer, run.typicality) for run in found.runs]
    assert np.isnan(numbers).all()  # the prior of pixels is a box
    assert not found.diversity
    assert not found.kid
    assert [unit.twin for unit in found.units] == ["", ""]


def test_robust_scores_are_those_of_the_runs_own_units(
    result: ComparisonResult, oracle: TorchModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examining, "TOGETHER", 4)  # both units in one part
    found = examine(result, oracle=oracle, generator=Pixels(SHAPE), seed=5)
    for one in found.runs[:-1]:
        assert one.stimulus is not None
        rows = torch.from_numpy(one.stimulus[None])
        wanted = robust_scores(oracle, rows, [Mean((one.unit,))], seed=5)[0]
        assert one.robust == pytest.approx(wanted, rel=1e-5)
        assert one.robust.shape == (64,)
    assert found.runs[-1].robust.size == 0


def test_plausibility_is_the_distance_over_that_of_natural_images(
    result: ComparisonResult, oracle: TorchModule, natural: np.ndarray
) -> None:
    independent = network(1)
    found = examine(
        result, oracle=oracle, generator=Pixels(SHAPE), independent=independent, natural=natural
    )

    def hidden(images: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            layer = independent.model[:2]  # type: ignore[index, union-attr]
            return layer(torch.from_numpy(images)).double().numpy()

    reference = hidden(natural)
    among = np.linalg.norm(reference[:, None] - reference[None], axis=2)
    np.fill_diagonal(among, np.inf)
    for one in found.runs[:-1]:
        assert one.stimulus is not None
        distances = np.linalg.norm(reference - hidden(one.stimulus[None]), axis=1)
        wanted = distances.min() / np.median(among.min(1))
        assert one.plausibility == pytest.approx(wanted, rel=1e-5)
    assert np.isnan(found.runs[-1].plausibility)


def test_diversity_counts_pairs_of_good_seeds(result: ComparisonResult) -> None:
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 0.0]])
    scores = (1.0, 0.95, 0.9, 0.5)  # the last one is too low to count
    runs = [run(UNITS[0], seed, score) for seed, score in enumerate(scores)]
    found = likeness.diversities(result, runs, rows)
    assert list(found) == [("adam", UNITS[0])]
    half = 1 - 0.5**0.5
    assert found["adam", UNITS[0]] == pytest.approx((1 + half + half) / 3)
    for poor in ((1.0, 0.5), (-1.0, -0.95), (float("nan"), float("nan"))):
        runs = [run(UNITS[0], seed, score) for seed, score in enumerate(poor)]
        assert np.isnan(likeness.diversities(result, runs, rows[:2])["adam", UNITS[0]])


@pytest.mark.slow
def test_kid_needs_many_stimuli(
    result: ComparisonResult,
    oracle: TorchModule,
    natural: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    several = [run(UNITS[0], seed, 1.0, "cma") for seed in range(9)]
    result = replace(result, seeds=tuple(range(9)), runs=(*result.runs, *several))
    options = {"generator": Pixels(SHAPE), "independent": network(1), "natural": natural}
    assert not examine(result, oracle=oracle, **options).kid
    monkeypatch.setattr(likeness, "LEAST_FOR_KID", 8)
    found = examine(result, oracle=oracle, **options).kid
    assert list(found) == ["cma"]
    stimuli = [one.stimulus for one in several if one.stimulus is not None]
    wanted = likeness.kid.distance(
        features(network(1), stimuli), features(network(1), natural)
    ).value
    assert found["cma"] == pytest.approx(wanted)
    odd = torch.full((1, 7), torch.nan)
    rows, reference = features(network(1), stimuli), features(network(1), natural)
    chosen = result.runs[-len(stimuli) - 1 :]
    some = likeness.distances_of_methods(
        result, chosen, torch.cat([odd, rows]), torch.cat([reference, odd]), 0
    )
    assert some["cma"] == pytest.approx(wanted)
    monkeypatch.setattr(likeness, "MOST_FOR_KID", 6)
    fewer = examine(result, oracle=oracle, **options).kid["cma"]
    assert fewer != found["cma"]
    assert fewer == examine(result, oracle=oracle, **options).kid["cma"]


def test_the_twin_is_the_unit_with_the_greatest_correlation(natural: np.ndarray) -> None:
    second = network(2)
    units = [Unit(layer.name, i) for layer in second.describe().layers for i in range(layer.units)]
    answers = all_answers(second, natural, units).numpy()
    draw = np.random.default_rng(1)
    scores = draw.normal(size=(3, len(natural)))
    scores[2] = -answers[:, 4] + 0.1 * draw.normal(size=len(natural))
    scores[0, :30:7] = np.nan
    twins = find_twins(second, natural, scores)
    for twin, mine in zip(twins, scores, strict=True):
        known = ~np.isnan(mine)
        wanted = [np.corrcoef(column[known], mine[known])[0, 1] for column in answers.T]
        best = int(np.argmax(np.abs(wanted)))
        assert twin is not None
        assert twin.unit == units[best]
        assert twin.correlation == pytest.approx(wanted[best], abs=1e-9)
    assert twins[2] is not None
    assert twins[2].correlation < -0.9
    few = np.full((2, len(natural)), np.nan)
    few[0, :2] = [1.0, 2.0]
    few[1] = 3.0  # constant
    assert find_twins(second, natural, few) == [None, None]


def test_transfer_is_a_rank_of_the_twin() -> None:
    natural = np.array([1.0, 2.0, 3.0, np.nan, 4.0])
    assert transfer(Twin(Unit("fc", 0), 0.8), natural, 3.5) == 0.75
    assert transfer(Twin(Unit("fc", 0), -0.8), natural, 3.5) == 0.25
    assert np.isnan(transfer(Twin(Unit("fc", 0), 0.8), natural, np.nan))
    assert np.isnan(transfer(Twin(Unit("fc", 0), 0.8), natural[3:4], 1.0))


def test_a_network_is_its_own_second_network(
    result: ComparisonResult, oracle: TorchModule, natural: np.ndarray
) -> None:
    found = examine(result, oracle=oracle, generator=Pixels(SHAPE), second=oracle, natural=natural)
    assert [unit.twin for unit in found.units] == list(UNITS)
    assert [unit.twin_correlation for unit in found.units] == pytest.approx([1.0, 1.0])
    for one in found.runs[:-1]:
        assert one.stimulus is not None
        (unit,) = (unit for unit in result.units if unit.unit == one.unit)
        score = all_answers(oracle, [one.stimulus], [Unit.parse(one.unit)]).item()
        assert one.transfer == pytest.approx((unit.natural < score).mean())
    assert np.isnan(found.runs[-1].transfer)


def test_images_and_networks_that_do_not_fit_are_refused(
    result: ComparisonResult, oracle: TorchModule, natural: np.ndarray
) -> None:
    generator = Pixels(SHAPE)
    with pytest.raises(ShapeMismatch, match="has scores of 40 images, got 39"):
        examine(result, oracle=oracle, generator=generator, natural=natural[1:])
    with pytest.raises(ShapeMismatch, match="expected shape"):
        examine(result, oracle=oracle, generator=generator, natural=natural[:, :1])
    with pytest.raises(ShapeMismatch, match="the second network takes"):
        examine(result, oracle=oracle, generator=Pixels((3, 4, 4)), second=network(1))


def test_features_are_those_before_the_classifier(natural: np.ndarray) -> None:
    layers = nn.Flatten(), nn.Linear(108, 7), nn.Linear(7, 4), nn.Softmax(1)
    oracle = TorchModule(nn.Sequential(*layers).eval(), stimulus_shape=SHAPE)
    assert penultimate(oracle.describe()).units == 7
    assert features(oracle, natural).shape == (40, 7)


def test_typicality_is_the_probability_of_a_length_nearer_to_the_median() -> None:
    space = SpaceSpec("normal", 12)
    draws = np.linalg.norm(np.random.default_rng(0).normal(size=(4000, 12)), axis=1)
    for length in (1.0, 3.0, 3.4, 5.0):
        latent = np.full(12, length / 12**0.5)
        found = typicality(latent, space)
        assert found == pytest.approx(abs(2 * chi(12).cdf(length) - 1))
        share = (draws < length).mean()
        assert found == pytest.approx(abs(2 * share - 1), abs=0.03)
    parts = SpaceSpec("product", 12, parts=(SpaceSpec("normal", 5), SpaceSpec("normal", 7)))
    assert typicality(np.ones(12), parts) == typicality(np.ones(12), space)


@pytest.mark.parametrize(
    ("latent", "space"),
    [
        (np.empty(0), SpaceSpec("normal", 3)),
        (np.array([1.0, np.nan, 0.0]), SpaceSpec("normal", 3)),
        (np.ones(3), SpaceSpec("sphere", 3)),
        (np.ones(3, np.int64), SpaceSpec("categorical", 3, categories=4)),
        (
            np.ones(3),
            SpaceSpec("product", 3, parts=(SpaceSpec("normal", 2), SpaceSpec("sphere", 1))),
        ),
    ],
)
def test_other_priors_have_no_typical_length(latent: np.ndarray, space: SpaceSpec) -> None:
    assert np.isnan(typicality(latent, space))
