"""Figures of attacks: queries, robustness, confusion, change."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from blackbox_am.errors import InvalidInput
from blackbox_am.plots import (
    Robustness,
    Stops,
    change,
    confusion,
    robustness,
    stop_histogram,
    success_curves,
)


def stops(queries: list[int], attacked: int, name: str = "square", budget: int = 100) -> Stops:
    return Stops(name, np.asarray(queries, np.int64), attacked, budget)


def drawn(figure: Figure) -> Figure:
    figure.canvas.draw()
    return figure


def test_a_success_curve_has_the_share_after_each_query() -> None:
    figure = success_curves([stops([10, 3, 3], 8), stops([], 4, "nes")])
    first, second = figure.axes[0].lines
    share = dict(zip(first.get_xdata(), first.get_ydata(), strict=True))
    assert share == {1: 0, 3: 25, 10: 37.5, 100: 37.5}
    assert first.get_drawstyle() == "steps-post"
    assert set(second.get_ydata()) == {0}
    assert figure.axes[0].get_xscale() == "log"
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert texts == ["square: 3 of 8", "nes: 0 of 4"]


@pytest.mark.parametrize("budget", [1, 7, 100, 12345])
def test_the_histogram_counts_every_success_once(budget: int) -> None:
    queries = np.random.default_rng(0).integers(1, budget + 1, 500)
    figure = stop_histogram([Stops("a", queries, 510, budget)])
    heights, edges, _ = figure.axes[0].patches[0].get_data()
    assert heights.sum() == 500
    assert edges[0] == 1
    assert (np.diff(edges) > 0).all()
    whole = [((edges[i] <= q) & (q < edges[i + 1])).any() for i in range(len(edges) - 1)
             for q in [np.arange(1, budget + 2)]]  # fmt: skip
    assert all(whole), "a bin has no whole number in it"
    drawn(figure)


def test_robustness_has_a_point_and_an_interval_for_each_eps() -> None:
    eps, share = np.asarray([0, 2, 8]) / 255, np.asarray([0.9, 0.5, 0.0])
    line = Robustness(
        "square", eps, share, np.asarray([0.8, 0.4, 0.0]), np.asarray([1.0, 0.6, 0.1])
    )
    figure = robustness([line], label="eps", ticks=["0", "2/255", "8/255"])
    (curve, _, bars) = figure.axes[0].containers[0]
    assert curve.get_ydata().tolist() == [90, 50, 0]
    ends = [segment[:, 1] for segment in bars[0].get_segments()]
    assert np.allclose(ends, [[80, 100], [40, 60], [0, 10]])
    labels = [text.get_text() for text in drawn(figure).axes[0].get_xticklabels()]
    assert labels == ["0", "2/255", "8/255"]
    with pytest.raises(InvalidInput, match="expected 3, one for each eps, got 1"):
        robustness([line], ticks=["0"])


def cells(figure: Figure) -> np.ndarray:
    return np.asarray(figure.axes[0].images[0].get_array())


def test_confusion_counts_pairs_of_classes() -> None:
    figure = confusion([0, 0, 2, 3], [2, 2, 0, 0], ["cat", "dog", "bird"])
    assert cells(figure).tolist() == [[0, 2, 0], [1, 0, 0], [1, 0, 0]]
    names = [text.get_text() for text in drawn(figure).axes[0].get_yticklabels()]
    assert names == ["cat", "bird", "3"]  # a class without a name has its number


def test_rare_classes_are_one_row() -> None:
    before = [0] * 9 + [1] * 8 + list(range(2, 30))
    figure = confusion(before, before[::-1], [f"class {n}" for n in range(30)], most=3)
    assert cells(figure).shape == (3, 3)
    assert cells(figure).sum() == len(before)
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == ["class 0", "class 1", "others"]


def test_names_are_not_formulas_and_long_ones_are_cut() -> None:
    figure = confusion([0], [1], ["$x^$ \\frac{", "a name\nof very many letters and more"])
    names = [text.get_text() for text in drawn(figure).axes[0].get_yticklabels()]
    assert names == ["\\$x^\\$ \\frac{", "a name of very ma…"]
    drawn(success_curves([stops([1], 2, "$\\frac")]))


def test_a_change_has_a_panel_for_each_channel_and_one_for_the_difference() -> None:
    before = np.random.default_rng(0).random((2, 40), np.float32)
    after = np.clip(before + 0.1, 0, 1)
    figure = drawn(change(before, after))
    assert len(figure.axes) == 3
    assert np.allclose(figure.axes[2].lines[1].get_ydata(), after[1] - before[1])
    assert len(drawn(change(np.zeros((9, 80)), np.zeros((9, 80)))).axes) == 5
    assert len(drawn(change(np.zeros(300), np.zeros(300))).axes) == 2


def test_figures_of_nothing_are_refused() -> None:
    for refused in (lambda: success_curves([]), lambda: stop_histogram([]), lambda: robustness([])):
        with pytest.raises(InvalidInput, match="at least one attack"):
            refused()
    with pytest.raises(InvalidInput, match="got 1 and 2"):
        confusion([0], [0, 1], ["a"])
