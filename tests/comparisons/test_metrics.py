"""The numbers of runs, by hand and by brute force."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from blackbox_am.comparisons import curves
from blackbox_am.comparisons.metrics import expected_best, median, metrics
from blackbox_am.comparisons.results import ComparedUnit, ComparisonResult, Method, Run
from blackbox_am.testing.comparison_results import comparison_result

NAN, INF = float("nan"), float("inf")
NATURAL = np.array([0.0, 1.0, 2.0, 4.0, 3.0])


def run(
    method: str, seed: int, curve: dict[float, float], seconds: float, **changes: object
) -> Run:
    values = np.array(list(curve.values()))
    fields: dict[str, object] = {
        "score": float(values[-1]), "score_error": 0.0, "latent": np.zeros(2),
        "stimulus": np.zeros((1, 2, 2), np.float32), "rows": 10, "backward_rows": 0,
    }  # fmt: skip
    return Run(
        method, "head:0", seed, equivalents=np.array(list(curve)), best_so_far=values,
        seconds=seconds, **(fields | changes),
    )  # fmt: skip


ADAM = run("adam", 0, {20.0: 2.0, 40.0: 6.0, 100.0: 8.0}, 10.0, robust=np.linspace(2.0, 6.0, 5))
SNES = run("snes", 0, {10.0: 1.0, 30.0: 4.0, 60.0: 5.0}, 5.0, plausibility=1.5, typicality=0.25)


def result(*runs: Run, natural: np.ndarray = NATURAL, **changes: object) -> ComparisonResult:
    methods = (Method("adam", "adam", {}, 1, 2.0, 50), Method("snes", "snes", {}, 0, 1.0, 100))
    unit = ComparedUnit("head:0", "head", natural, None, 2.0)
    return ComparisonResult(
        "by hand", {}, "adam", 100.0, tuple(sorted({one.seed for one in runs})), methods, (unit,),
        runs, (), best_known={"head:0": 10.0}, **changes,
    )  # fmt: skip


def test_the_numbers_of_a_run_by_hand() -> None:
    adam, snes = (row.numbers for row in metrics(result(ADAM, SNES)).runs)
    assert (snes.score, snes.relative, snes.rank) == (5.0, 1.25, 1.0)
    assert snes.standardised == pytest.approx((5 - 2) / np.std(NATURAL, ddof=1))
    assert snes.of_gradient == 5 / 8
    assert snes.gap_closed == (5 - 2) / (8 - 2)
    assert snes.of_best_known == 0.5
    assert snes.over_natural_of_n == 5 / 4  # the budget is larger than the set
    # From 20, where both have a score, to the budget of 100.
    assert snes.area == pytest.approx((10 * 1 + 30 * 4 + 40 * 5) / 80 / 4)
    assert adam.area == pytest.approx((20 * 2 + 60 * 6) / 80 / 4)
    assert (snes.to_natural, adam.to_natural) == (30.0, 40.0)
    assert (snes.to_50, snes.to_90, snes.to_95) == (30.0, INF, INF)
    assert (adam.to_50, adam.to_90, adam.to_95) == (40.0, 100.0, 100.0)
    # snes is the faster one, with 5 s: half of adam's time, 50 of its equivalents.
    assert (snes.equal_time, adam.equal_time) == (5.0, 6.0)
    assert adam.equal_time_relative == 1.5
    assert (adam.robust_mean, adam.robust_p10) == (4.0, pytest.approx(2.4))
    assert (adam.robust_relative, adam.robust_share) == (1.0, 0.5)
    assert (snes.plausibility, snes.typicality) == (1.5, 0.25)
    assert np.isnan([snes.transfer, snes.robust_mean, snes.robust_share]).all()


def test_equal_time_is_that_of_whole_runs_with_the_whole_budget() -> None:
    short = replace(SNES, seconds=1.0)
    stopped = result(ADAM, replace(short, message="the rig is off"))
    assert metrics(stopped).levels["head:0"].seconds == 10.0
    both = result(ADAM, short)
    assert metrics(both).levels["head:0"].seconds == 1.0
    fewer = replace(both, methods=(both.methods[0], replace(both.methods[1], queries_per_target=9)))
    assert metrics(fewer).levels["head:0"].seconds == 10.0


def test_a_ratio_to_a_maximum_that_is_not_positive_does_not_exist() -> None:
    found = metrics(result(ADAM, SNES, natural=NATURAL - 5)).runs[1].numbers
    assert np.isnan([found.relative, found.area, found.equal_time_relative]).all()
    assert found.standardised == pytest.approx((5 + 3) / np.std(NATURAL, ddof=1))
    assert found.to_natural == 10.0
    found = metrics(result(ADAM, SNES, natural=np.empty(0))).runs[1].numbers
    assert np.isnan([found.relative, found.standardised, found.rank, found.to_natural]).all()
    assert found.gap_closed == 0.5


def test_without_gradients_there_is_no_gap() -> None:
    found = metrics(result(SNES)).runs[0].numbers
    assert np.isnan([found.of_gradient, found.gap_closed, found.to_50, found.to_95]).all()
    assert found.relative == 1.25


def test_a_run_that_found_nothing_has_no_numbers_and_is_counted() -> None:
    nothing = run("snes", 1, {10.0: NAN, 30.0: NAN}, 5.0, score=NAN)
    found = metrics(result(ADAM, SNES, replace(ADAM, seed=1), nothing))
    numbers = found.runs[3].numbers
    assert np.isnan([numbers.score, numbers.relative, numbers.area, numbers.gap_closed]).all()
    assert numbers.to_natural == INF
    assert found.by_unit["snes", "head:0"].runs == 1
    assert found.by_unit["snes", "head:0"].numbers.score == 5.0
    assert (found.by_method["snes"].runs, found.by_method["snes"].failed) == (2, 1)
    empty = replace(nothing, equivalents=np.empty(0), best_so_far=np.empty(0), seconds=0.0)
    numbers = metrics(result(ADAM, empty)).runs[1].numbers
    assert np.isnan([numbers.to_natural, numbers.area, numbers.equal_time]).all()


def test_medians_are_over_seeds_first() -> None:
    found = comparison_result(units=4, seeds=3)
    all_of = metrics(found)
    for name in ("adam", "snes"):
        scores = [
            [run.score / unit.natural.max() for run in found.of(name, unit.unit)]
            for unit in found.units
        ]
        medians = np.median(scores, axis=1)
        for unit, wanted in zip(found.units, medians, strict=True):
            assert all_of.by_unit[name, unit.unit].numbers.relative == pytest.approx(wanted)
        assert all_of.by_method[name].numbers.relative == pytest.approx(np.median(medians))
        assert all_of.by_method[name].units == 4


@pytest.mark.parametrize("n", [1, 2, 3, 6, 7, 30])
def test_the_expected_best_is_the_mean_over_all_subsets(n: int) -> None:
    scores = np.array([3.0, -1.0, 4.0, 1.5, 4.0, 0.0, np.nan])
    known = scores[:6]
    subsets = combinations(known, min(n, 6))
    assert expected_best(scores, n) == pytest.approx(np.mean([max(part) for part in subsets]))


def test_the_expected_best_of_nothing_does_not_exist() -> None:
    assert np.isnan(expected_best(np.empty(0), 3))
    assert np.isnan(expected_best(np.array([NAN]), 3))
    assert np.isnan(expected_best(np.ones(3), 0))
    many = np.random.default_rng(0).normal(size=5000)
    assert many.mean() < expected_best(many, 2) < expected_best(many, 4999) < many.max()


def test_medians_leave_nan_out_and_count_infinities() -> None:
    assert median([1.0, NAN, 3.0]) == 2.0
    assert median([1.0, INF, INF]) == INF
    assert median([1.0, INF]) == INF
    assert np.isnan(median([]))


def test_curves_are_steps_that_hold_their_last_score() -> None:
    found = curves.at(SNES, np.array([0.0, 9.9, 10.0, 29.0, 60.0, 100.0]))
    np.testing.assert_array_equal(found, [NAN, NAN, 1.0, 1.0, 5.0, 5.0])
    assert curves.first_at(run("snes", 0, {10.0: NAN, 30.0: 4.0}, 1.0)) == 30.0
    equivalents = curves.grid([ADAM, SNES], 100.0, points=10)
    np.testing.assert_allclose(equivalents, np.linspace(10, 100, 10))
    assert curves.stacked([ADAM, SNES], equivalents)[:, -1].tolist() == [8.0, 5.0]
    assert curves.grid([], 100.0, 5).size == 0
