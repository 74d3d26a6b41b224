"""Statistics against values computed by hand or by other means."""

from __future__ import annotations

import math

import numpy as np
import pytest

from blackbox_am.attacks.report.statistics import proportion, queries_of, robust_to_all, statistics
from blackbox_am.attacks.results import Outcome
from blackbox_am.testing.attack_results import attack_result

OTHERS = [Outcome.SKIPPED, Outcome.ERROR, Outcome.UNFINISHED]


def test_wilson_interval_is_that_of_the_published_example() -> None:
    """Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I."""
    for count, of, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        found = proportion(count, of)
        assert found.value == count / of
        assert found.low == pytest.approx(low, abs=5e-5)
        assert found.high == pytest.approx(high, abs=5e-5)


def test_wilson_limits_solve_the_score_equation() -> None:
    for count, of in ((3, 10), (47, 48), (1, 2000)):
        found = proportion(count, of)
        for limit in (found.low, found.high):
            assert limit is not None
            score = (count / of - limit) / math.sqrt(limit * (1 - limit) / of)
            assert abs(score) == pytest.approx(1.959964, abs=1e-5)


def test_a_proportion_of_nothing_has_no_value_and_one_of_all_ends_at_1() -> None:
    assert proportion(0, 0).value is None
    assert proportion(5, 5).high == 1.0
    assert proportion(0, 5).low == 0.0


def test_queries_over_successes_and_over_all_with_failures_at_the_budget() -> None:
    found = statistics(attack_result([10, 30, 20, None, *OTHERS], budget=100))
    assert found.queries_of_successes == queries_of([10, 30, 20])
    assert (found.queries_of_successes.median, found.queries_of_successes.mean) == (20, 20)
    assert found.queries_of_attacked.median == 25
    assert found.queries_of_attacked.mean == 40
    assert found.queries_of_attacked.p90 == pytest.approx(30 + 0.7 * 70)  # place 2.7 of 0..3


def test_outcomes_are_counted_and_enter_the_right_shares() -> None:
    found = statistics(attack_result([10, 30, 20, None, *OTHERS]))
    counts = (found.total, found.success, found.failed, found.skipped, found.error)
    assert (*counts, found.unfinished) == (7, 3, 1, 1, 1, 1)
    assert found.correct == 4
    assert (found.clean_accuracy.count, found.clean_accuracy.of) == (4, 5)
    assert (found.success_rate.count, found.success_rate.of) == (3, 4)
    assert (found.robust_accuracy.count, found.robust_accuracy.of) == (1, 5)
    assert (found.rows, found.calls, found.rows_per_call) == (400, 50, 8)
    assert (found.verified, found.unverified) == (3, 0)


def test_without_labels_the_clean_accuracy_is_unknown() -> None:
    found = statistics(attack_result([10, None], own_labels=True))
    assert found.correct is None
    assert found.clean_accuracy.value is None
    assert found.robust_accuracy.value == 0.5


def test_an_attack_on_nothing_has_no_rates_and_no_queries() -> None:
    found = statistics(attack_result([Outcome.SKIPPED]))
    assert found.success_rate.value is None
    assert found.queries_of_attacked.median is None
    assert found.robust_accuracy.value == 0.0


def test_an_input_is_lost_if_any_attack_fooled_it() -> None:
    first = attack_result([5, None, None, Outcome.SKIPPED])
    second = attack_result([None, 7, None, Outcome.SKIPPED], attack="nes")
    both = robust_to_all([first, second])
    assert (both.count, both.of) == (1, 4)


def test_attacks_on_survivors_are_matched_by_content() -> None:
    first = attack_result([5, None, None])
    second = attack_result([None, 9], attack="nes")  # the survivors, in another order
    order = np.asarray([2, 1])
    object.__setattr__(second, "clean", first.clean[order])
    both = robust_to_all([first, second])
    assert (both.count, both.of) == (1, 3)
