"""Which inputs a report shows, and how."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from blackbox_am.attacks.report.gallery import amplification, card, chosen, difference, kind_of
from blackbox_am.attacks.results import Outcome
from blackbox_am.testing.attack_results import attack_result


def test_successes_are_spread_over_queries_and_a_sixth_are_failures() -> None:
    result = attack_result([*range(100, 0, -1), *[None] * 50, Outcome.SKIPPED], budget=200)
    shown = chosen(result, 24)
    queries = [result.inputs[row].queries for row in shown]
    assert len(set(shown)) == 24
    assert queries[:20] == sorted(queries[:20])
    assert (queries[0], queries[19], queries[20:]) == (1, 100, [200] * 4)
    assert max(np.diff(queries[:20])) <= 6


def test_refuted_successes_come_first_and_free_places_are_for_failures() -> None:
    result = attack_result([5, 6, None, None, None, Outcome.ERROR])
    refuted = replace(result.inputs[1], verified=False)
    failed = replace(result.inputs[4], verified=False, queries=7)
    inputs = (result.inputs[0], refuted, *result.inputs[2:4], failed, result.inputs[5])
    result = replace(result, inputs=inputs)
    assert chosen(result, 4) == [1, 4, 0, 2]
    assert chosen(result, 50) == [1, 4, 0, 2, 3]
    assert card(result, 4, 16).facts[0] == "after 7 queries"
    assert chosen(result, 0) == []


def test_the_amplified_change_reaches_the_ends_of_the_range() -> None:
    result = attack_result([3, 4], eps=4 / 255)
    factor = amplification(result, [0, 1])
    assert factor == 32
    shown = difference(result.clean[0], result.adversarial[0], factor)
    assert np.allclose(np.abs(shown - 0.5), 0.5, atol=3e-3)
    assert amplification(replace(result, adversarial=result.clean), [0, 1]) == 1.0
    assert amplification(result, []) == 1.0


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((20,), "table"),
        ((16000,), "series"),
        ((2, 100), "series"),
        ((28, 28), "picture"),
        ((3, 8, 8), "picture"),
        ((4, 3, 8, 8), "picture"),
        ((2, 2, 2, 2, 2), "series"),
    ],
)
def test_the_shape_says_how_an_input_is_shown(shape: tuple[int, ...], kind: str) -> None:
    assert kind_of(shape) == kind


def test_a_card_says_what_became_of_the_input() -> None:
    result = attack_result([1, None])
    success, failure = (card(result, row, 16) for row in (0, 1))
    assert (success.outcome, success.facts) == ("fooled", ("after 1 query",))
    assert [shown.answer for shown in success.pictures] == ["cat 0.750", "dog 0.625", "× 16"]
    assert (failure.outcome, failure.facts) == ("not fooled", ("after all 100 queries",))
    odd = replace(result.inputs[0], label=2, target=3, verified=False)
    facts = card(replace(result, inputs=(odd, result.inputs[1])), 0, 16).facts
    assert facts[1:3] == ("true class bird", "wanted class ship")
    assert "refuted" in facts[3]


def test_a_row_of_a_table_lists_the_largest_changes_first() -> None:
    result = attack_result([3], shape=(4,), features=("a", "b", "c", "d"))
    clean = np.asarray([[0.5, 0.5, 0.5, 0.5]], np.float32)
    moved = np.asarray([[0.5, 0.25, 1.0, 0.5]], np.float32)
    shown = card(replace(result, clean=clean, adversarial=moved), 0, 1.0)
    assert shown.features == (("c", "0.5", "1", "+0.5"), ("b", "0.5", "0.25", "-0.25"))
    assert shown.unsaid == "2 of 4 values changed"
