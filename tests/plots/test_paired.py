"""The figure of ratios: points, medians, and missing numbers."""

from __future__ import annotations

import numpy as np
import pytest

from blackbox_am.errors import InvalidInput
from blackbox_am.plots.paired import Pairs, paired_strip
from blackbox_am.plots.style import SERIES

NAN = float("nan")


def test_every_unit_is_a_point_and_the_interval_a_line() -> None:
    one = Pairs("$one", np.array([0.9, NAN, 0.5, 1.2]), 0.9, 0.6, 1.1, 2)
    figure = paired_strip([one, Pairs("two", np.array([0.7]), 0.7, NAN, NAN)], label="score")
    (axes,) = figure.axes
    level, points, interval, middle, *others = axes.lines
    assert level.get_xdata() == [100, 100]
    np.testing.assert_allclose(points.get_xdata(), [50, 90, 120])
    assert points.get_color() == SERIES[2]
    np.testing.assert_allclose(interval.get_xdata(), [60, 110])
    np.testing.assert_allclose(middle.get_xdata(), [90])
    assert len(others) == 2  # points and median, no interval
    assert [text.get_text() for text in axes.get_yticklabels()] == [r"\$one", "two"]


def test_without_a_method_there_is_no_figure() -> None:
    with pytest.raises(InvalidInput, match="at least one method"):
        paired_strip([], label="score")
