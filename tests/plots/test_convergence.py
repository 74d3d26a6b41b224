from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from blackbox_am.core.types import GenerationScores
from blackbox_am.errors import InvalidInput
from blackbox_am.plots import Curve, convergence, curves
from blackbox_am.plots.style import SERIES

NAN = float("nan")


def _generation(index, targets, scores):
    return GenerationScores(index, targets, np.asarray(scores, np.float64), 0.1)


def test_curves_are_running_maxima_by_target():
    history = [
        _generation(0, (0, 1), [[1.0, 3.0], [5.0, 4.0]]),
        _generation(1, (0, 1), [[2.0, NAN], [6.0, 0.0]]),
        _generation(2, (1,), [[9.0]]),  # target 0 dropped out, and a shorter last generation
    ]
    first, second = curves(history, 2)
    assert first.queries.tolist() == [2, 4]
    assert first.best.tolist() == [3.0, 3.0]
    assert second.queries.tolist() == [2, 4, 5]
    assert second.best.tolist() == [5.0, 6.0, 9.0]


def test_a_curve_is_nan_until_a_row_succeeds():
    history = [_generation(0, (0,), [[NAN, NAN]]), _generation(1, (0,), [[NAN, 1.5]])]
    (curve,) = curves(history, 1)
    assert np.isnan(curve.best[0])
    assert curve.best[1] == 1.5


def test_no_history_gives_empty_curves():
    assert [len(curve.queries) for curve in curves([], 3)] == [0, 0, 0]


def _curve(slope):
    queries = np.arange(10, 110, 10)
    return Curve(queries, slope * queries.astype(float))


def _count(pixels, colour):
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return (np.abs(pixels.astype(int) - wanted).max(-1) < 4).sum()


def test_every_search_has_its_own_colour():
    figure = convergence(
        {"CMA-ES": [_curve(2.0)] * 2, "random": [_curve(1.0)] * 2},
        ["head:0\nship", "layer1:3"],
        levels=[90.0, NAN],
        heading="Two searches",
    )
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    pixels = np.asarray(Image.open(buffer).convert("RGB"))
    assert _count(pixels, SERIES[0]) > 100
    assert _count(pixels, SERIES[1]) > 100
    panels = figure.axes
    assert [len(axes.lines) for axes in panels] == [3, 2]
    assert panels[0].get_title(loc="left") == "head:0  (ship)"
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["CMA-ES", "random", "best natural image"]


def test_unused_panels_stay_empty():
    figure = convergence({"a": [_curve(1.0)] * 3}, ["x", "y", "z"], columns=2)
    assert [axes.axison for axes in figure.axes] == [True, True, True, False]


def test_refuses_lengths_that_differ():
    with pytest.raises(InvalidInput, match="'a': expected 2 entries, one for each title, got 1"):
        convergence({"a": [_curve(1.0)]}, ["x", "y"])
    with pytest.raises(InvalidInput, match="best natural image"):
        convergence({"a": [_curve(1.0)]}, ["x"], levels=[1.0, 2.0])
    with pytest.raises(InvalidInput, match="at least one"):
        convergence({}, ["x"])
