"""Comparisons of planted pairs of reports."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blackbox_am.attacks.report import write_report
from blackbox_am.attacks.report.comparison import Comparison, compare, mcnemar
from blackbox_am.attacks.report.comparison_page import comparison_page, groups, verdict
from blackbox_am.attacks.report.reading import read_report
from blackbox_am.attacks.report.statistics import proportion
from blackbox_am.attacks.results import AttackResult, Outcome
from blackbox_am.errors import InvalidInput
from blackbox_am.testing.attack_results import attack_result

A = [10, 20, 40, None, 8, None, Outcome.SKIPPED, 5]
B = [30, 20, None, None, 24, 90, Outcome.SKIPPED, Outcome.UNFINISHED]


@pytest.fixture(autouse=True)
def plain_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty figures: drawing takes most of the time."""
    monkeypatch.setattr("blackbox_am.attacks.report.writing.figure_svg", lambda figure: b"<svg/>")


def compared(
    folder: Path, a: AttackResult | list[AttackResult], b: AttackResult | list[AttackResult]
) -> Comparison:
    """The comparison of two reports that were written and read again."""
    for name, results in (("a", a), ("b", b)):
        several = results if isinstance(results, list) else [results]
        write_report(several, folder / name, cards=0, pictures=0)
    return compare(read_report(folder / "a"), read_report(folder / "b"))


def test_success_and_queries_are_paired(tmp_path: Path) -> None:
    (pair,) = compared(tmp_path, attack_result(A), attack_result(B, attack="nes")).pairs
    assert (pair.common, pair.attacked) == (8, 6)
    assert (pair.both, pair.only_a, pair.only_b, pair.neither) == (3, 1, 1, 1)
    assert (pair.rate_a, pair.rate_b) == (proportion(4, 6), proportion(4, 6))
    assert (pair.queries_a.median, pair.queries_b.median) == (10, 24)  # of 10, 20, 8 and 30, 20, 24
    assert pair.ratio == pytest.approx(2.4)
    assert pair.geometric_ratio == pytest.approx((3 * 1 * 3) ** (1 / 3))
    assert (pair.fewer_a, pair.fewer_b) == (2, 0)
    assert pair.all_a.mean == pytest.approx(np.mean([10, 20, 40, 100, 8, 100]))
    assert pair.all_b.median == pytest.approx(np.median([30, 20, 100, 100, 24, 90]))
    assert pair.p_value == 1.0


def test_the_order_of_the_inputs_does_not_matter(tmp_path: Path) -> None:
    result = attack_result(B, attack="nes")
    order = np.random.default_rng(3).permutation(len(B))
    inputs = [result.inputs[place] for place in order]
    shuffled = replace(
        result,
        inputs=tuple(replace(one, index=i, name=f"x{i}") for i, one in enumerate(inputs)),
        clean=result.clean[order],
        adversarial=result.adversarial[order],
    )
    (straight,) = compared(tmp_path / "1", attack_result(A), result).pairs
    (mixed,) = compared(tmp_path / "2", attack_result(A), shuffled).pairs
    for name in ("both", "only_a", "only_b", "neither", "ratio", "geometric_ratio", "all_b"):
        assert getattr(mixed, name) == pytest.approx(getattr(straight, name)) or getattr(
            mixed, name
        ) == getattr(straight, name)
    assert mixed.notes == straight.notes


def test_mcnemar_is_the_binomial_test() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0
    assert mcnemar(0, 6) == pytest.approx(2 / 2**6)
    assert mcnemar(1, 9) == mcnemar(9, 1) == pytest.approx(2 * (1 + 10) / 2**10)
    assert mcnemar(0, 5000) == pytest.approx(0.0, abs=1e-12)
    expected = 2 * sum(math.comb(112, k) for k in range(43)) / 2**112
    assert mcnemar(42, 70) == pytest.approx(expected)


def test_the_verdict_says_whether_chance_explains_the_difference(tmp_path: Path) -> None:
    close = compared(tmp_path / "1", attack_result(A), attack_result(B, attack="nes")).pairs[0]
    assert "A fooled 4 (66.7 %) and B 4 (66.7 %)" in verdict(close)[0]
    assert "1 were fooled by A alone and 1 by B alone; no difference" in verdict(close)[0]
    assert "A needed a median of 10 queries and B of 24 (B / A = 2.4)" in verdict(close)[1]
    far = compared(
        tmp_path / "2", attack_result([1] * 9), attack_result([None] * 9, attack="nes")
    ).pairs[0]
    assert far.p_value == pytest.approx(2 / 2**9)
    assert "chance does not explain" in verdict(far)[0]
    near = compared(tmp_path / "3", attack_result([1] * 3), attack_result([1, 1, None])).pairs[0]
    assert "chance may explain" in verdict(near)[0]
    assert (far.ratio, far.queries_a.median, len(verdict(far))) == (None, None, 1)


def test_differences_of_the_threat_and_of_the_inputs_are_noted(tmp_path: Path) -> None:
    first = attack_result(A)
    second = attack_result(A[:5], budget=200, eps=4 / 255, oracle="vgg", complete=False)
    second = replace(second, clean=first.clean[:5], adversarial=first.clean[:5])
    notes = " ".join(compared(tmp_path, first, second).pairs[0].notes)
    assert "The oracle differs: resnet20 and vgg." in notes
    assert "The ball differs: L∞ ≤ 8/255 and L∞ ≤ 4/255." in notes
    assert "The budget differs: 100 queries and 200 queries." in notes
    assert "5 inputs are in both reports; 3 of A and 0 of B are left out." in notes
    assert "B is a partial result" in notes
    assert "B has flags" in notes  # its successes change nothing


def test_results_of_several_sizes_are_compared_size_by_size(tmp_path: Path) -> None:
    sizes = [attack_result(A, eps=n / 255) for n in (2, 8)]
    other = [attack_result(B, eps=n / 255, attack="nes") for n in (8, 4)]
    comparison = compared(tmp_path, sizes, other)
    assert [(pair.a.eps, pair.b.eps) for pair in comparison.pairs] == [(8 / 255, 8 / 255)]
    assert comparison.unpaired == ("L∞ ≤ 2/255", "L∞ ≤ 4/255")
    assert "results without a partner" in comparison_page(comparison)


def test_reports_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="attacked different inputs \\(8 and 8, none in common"):
        compared(tmp_path / "1", attack_result(A), attack_result(A, data_seed=1))
    balls = [[attack_result(A, eps=n / 255) for n in sizes] for sizes in ((2, 4), (6, 8))]
    with pytest.raises(InvalidInput, match="no result of the same ball and goal"):
        compared(tmp_path / "2", *balls)


def test_the_page_has_the_numbers_and_escapes_names(tmp_path: Path) -> None:
    hostile = "<script>x</script>"
    page = comparison_page(compared(tmp_path, attack_result(A), attack_result(B, attack=hostile)))
    assert "<script" not in page
    assert "B: &lt;script&gt;" in page
    for group in groups(compare(read_report(tmp_path / "a"), read_report(tmp_path / "b")).pairs[0]):
        assert group.name in page
        for line in group.lines:
            assert all(value in page for value in line.values)
