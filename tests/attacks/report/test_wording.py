"""Numbers of attacks as texts."""

from __future__ import annotations

import pytest

from blackbox_am.attacks.report.statistics import proportion
from blackbox_am.attacks.report.wording import (
    class_text,
    eps_text,
    percent,
    queries_text,
    share_text,
    threat_text,
    titles_of,
)
from blackbox_am.testing.attack_results import attack_result


@pytest.mark.parametrize(
    ("norm", "eps", "text"),
    [
        ("linf", 8 / 255, "8/255"),
        ("linf", 0.05, "0.05"),
        ("linf", 0.0, "0"),
        ("l2", 1.0, "1"),
        ("l0", 24, "24 places"),
    ],
)
def test_the_size_of_a_ball(norm: str, eps: float, text: str) -> None:
    assert eps_text(norm, eps) == text


def test_only_everything_is_100_percent_and_only_nothing_is_0() -> None:
    assert [percent(share) for share in (1.0, 0.0, None)] == ["100.0 %", "0.0 %", "–"]
    assert percent(9999 / 10000) == "99.99 %"
    assert percent(1 / 5000) == "0.02 %"
    assert share_text(proportion(0, 0)) == "–"


def test_a_median_at_the_budget_is_a_lower_limit_only_with_failures() -> None:
    assert queries_text(100.0, 100, failures=1) == "≥ 100"
    assert queries_text(100.0, 100, failures=0) == "100"
    assert queries_text(None, 100, failures=3) == "–"


def test_titles_say_what_distinguishes_results() -> None:
    a, b, c = (attack_result([1], attack=name) for name in ("square", "nes", "square"))
    small = attack_result([1], eps=2 / 255)
    assert titles_of([a]) == ["square"]
    assert titles_of([a, b]) == ["square", "nes"]
    assert titles_of([a, small]) == ["L∞ ≤ 8/255", "L∞ ≤ 2/255"]
    assert titles_of([b, small]) == ["nes, L∞ ≤ 8/255", "square, L∞ ≤ 2/255"]
    assert titles_of([a, c]) == ["1. L∞ ≤ 8/255", "2. L∞ ≤ 8/255"]


def test_the_threat_in_words() -> None:
    result = attack_result([1], budget=2000, targeted=True)
    assert threat_text(result) == "Targeted, L∞ ≤ 8/255, at most 2,000 queries for each input"


def test_a_class_without_a_name_has_its_number() -> None:
    assert [class_text(("a",), label) for label in (0, 7, -1, None)] == ["a", "7", "-1", "–"]
