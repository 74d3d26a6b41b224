"""Paired comparisons by hand and against an independent bootstrap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from blackbox_am.comparisons.results import ComparisonResult, Run
from blackbox_am.comparisons.scales import scale_of
from blackbox_am.comparisons.statistics import holm, on_scale, paired
from blackbox_am.testing.comparison_results import METHODS, comparison_result

NAN = float("nan")


def with_scores(scores: dict[str, list[list[float]]], **options: object) -> ComparisonResult:
    """A result of these scores (units, seeds) by method."""
    units, seeds = np.array(next(iter(scores.values()))).shape
    methods = [one for one in METHODS if one.name in scores]
    result = comparison_result(units=units, seeds=seeds, methods=methods, **options)
    place = {unit.unit: k for k, unit in enumerate(result.units)}
    runs = [
        replace(run, score=scores[run.method][place[run.unit]][run.seed]) for run in result.runs
    ]
    return replace(result, runs=tuple(runs), best_known={})


def test_wins_ties_and_losses_are_of_medians_over_seeds() -> None:
    result = with_scores(
        {
            "adam": [[1.0, 2.0, 3.0], [2.0, 2.0, 2.0], [4.0, 4.0, 4.0], [1.0, 1.0, 1.0]],
            "snes": [[2.5, 0.0, 9.0], [2.0, 2.0, 2.0], [3.0, 3.0, 9.0], [NAN, NAN, NAN]],
        }
    )
    (found,) = paired(result)
    assert (found.wins, found.ties, found.losses) == (1, 1, 2)
    assert [loss.unit for loss in found.lost] == [result.units[3].unit, result.units[2].unit]
    assert (found.lost[1].score, found.lost[1].baseline, found.lost[1].ratio) == (3.0, 4.0, 0.75)
    assert np.isnan(found.lost[0].score)
    assert (found.ratio, found.ratios) == (1.0, 3)
    assert found.low <= 1.0 <= found.high
    natural = result.units[2].natural.max()
    assert found.lost[1].difference == pytest.approx(-1.0 / natural)


def test_the_interval_of_the_ratio_is_that_of_an_independent_bootstrap() -> None:
    draw = np.random.default_rng(3)
    adam, snes = draw.gamma(9.0, 1.0, (12, 5)), draw.gamma(7.0, 1.0, (12, 5))
    (found,) = paired(with_scores({"adam": adam.tolist(), "snes": snes.tolist()}))
    assert found.ratio == pytest.approx(np.median(np.median(snes, 1) / np.median(adam, 1)))
    ratios = []
    for _ in range(1500):
        rows = draw.integers(12, size=(12, 1))
        a, b = (values[rows, draw.integers(5, size=(12, 5))] for values in (snes, adam))
        ratios.append(np.median(np.median(a, 1) / np.median(b, 1)))
    assert (found.low, found.high) == pytest.approx(np.percentile(ratios, [2.5, 97.5]), rel=0.05)


def test_holm_multiplies_by_the_number_of_tests_that_are_left() -> None:
    assert holm([0.04, 0.01, 0.03, NAN]) == pytest.approx([0.06, 0.03, 0.06, NAN], nan_ok=True)
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_references_are_compared_but_not_corrected_for() -> None:
    found = {one.method: one for one in paired(comparison_result(units=8))}
    assert list(found) == ["snes", "sep_cma", "random"]
    assert found["random"].reference
    assert np.isnan(found["random"].adjusted)
    assert found["random"].losses == 8
    two = [found[name] for name in ("snes", "sep_cma")]
    assert [one.adjusted for one in two] == pytest.approx(holm([one.p_value for one in two]))


def test_without_the_baseline_nothing_is_compared() -> None:
    gone = replace(METHODS[0], unavailable="the oracle has no gradients")
    assert paired(comparison_result(methods=(gone, *METHODS[1:]))) == ()


def test_units_that_a_method_has_not_reached_are_no_losses() -> None:
    result = comparison_result(units=4)
    last = result.units[-1].unit
    runs = tuple(run for run in result.runs if (run.method, run.unit) != ("snes", last))
    found = {one.method: one for one in paired(replace(result, runs=runs))}
    snes, sep = found["snes"], found["sep_cma"]
    assert snes.wins + snes.ties + snes.losses == 3
    assert sep.wins + sep.ties + sep.losses == 4


def test_a_result_without_common_units_has_no_pairs() -> None:
    result = comparison_result(units=2, methods=METHODS[:2])
    first, last = (unit.unit for unit in result.units)
    runs = tuple(
        run for run in result.runs if (run.method, run.unit) in (("adam", first), ("snes", last))
    )
    (found,) = paired(replace(result, runs=runs))
    assert (found.wins, found.ties, found.losses, found.ratios) == (0, 0, 0, 0)
    nothing = replace(result, units=(), runs=())
    assert np.isnan(on_scale(nothing, "snes", scale_of(nothing))).all()


def test_runs_are_found_without_a_scan_of_all() -> None:
    result = comparison_result(units=3, seeds=2)

    class Counted(tuple[Run, ...]):
        scans = 0

        def __iter__(self) -> Iterator[Run]:
            Counted.scans += 1
            return super().__iter__()

    counted = replace(result, runs=Counted(result.runs))
    for unit in result.units:
        for seed, run in enumerate(counted.of("snes", unit.unit)):
            assert (run.method, run.unit, run.seed) == ("snes", unit.unit, seed)
    assert Counted.scans == 1


def test_the_scale_is_the_same_for_all_units() -> None:
    result = comparison_result(units=3)
    scale = scale_of(result)
    assert scale.natural
    for unit in result.units:
        assert scale.of(unit.unit, unit.natural).max() == pytest.approx(1.0)
    below = tuple(
        replace(unit, natural=unit.natural - 100 * (k == 1)) for k, unit in enumerate(result.units)
    )
    scale = scale_of(replace(result, units=below))
    assert not scale.natural
    for unit in below:
        values = scale.of(unit.unit, unit.natural)
        assert (values.mean(), values.std(ddof=1)) == pytest.approx((0.0, 1.0))
    none = tuple(replace(unit, natural=np.empty(0)) for unit in result.units)
    scale = scale_of(replace(result, units=none))
    best = max(run.score for run in result.runs if run.unit == none[0].unit)
    ends = scale.of(none[0].unit, np.array([none[0].start, best]))
    assert ends.tolist() == pytest.approx([0.0, 1.0])
