"""Curves with bands: colours, references, and what cannot be drawn."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from blackbox_am.errors import InvalidInput
from blackbox_am.plots.bands import Band, Panel, band_grid, band_panel
from blackbox_am.plots.style import FAINT, SERIES

LABELS = {"x_label": "queries", "y_label": "score"}


def band(name: str, **changes: bool) -> Band:
    x = np.linspace(10, 100, 10)
    middle = np.where(x < 25, np.nan, x / 50)
    return Band(name, x, middle, middle - 0.1, middle + 0.1, **changes)


def colours(figure: Figure) -> dict[str, object]:
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    return dict(zip(texts, (line.get_color() for line in legend.get_lines()), strict=True))


def test_a_name_has_the_same_colour_in_all_panels() -> None:
    panels = [
        Panel("a", [band("one"), band("two")], 1.0),
        Panel("$b", [band("two")], 1.0),
        Panel("c", [band("three"), band("one")]),
    ]
    figure = band_grid(panels, level_name="natural", **LABELS)
    found = colours(figure)
    assert list(found) == ["one", "two", "three", "natural"]
    assert [found[name] for name in ("one", "two", "three")] == list(SERIES[:3])
    shown = [axes for axes in figure.axes if axes.lines]
    assert same_color(shown[1].lines[0].get_color(), SERIES[1])
    assert shown[0].lines[-1].get_ydata() == [1.0, 1.0]
    assert len(shown[2].lines) == 2  # no level


def test_a_reference_is_grey_and_takes_no_colour() -> None:
    figure = band_panel(Panel("", [band("n", faint=True), band("one")]), **LABELS)
    found = colours(figure)
    assert (found["n"], found["one"]) == (FAINT, SERIES[0])
    (axes,) = figure.axes
    assert len(axes.collections) == 1  # the band of the other curve
    assert axes.get_xlim() == (0.0, 100.0)


def test_more_names_than_colours_differ_by_their_dashes() -> None:
    names = [str(place) for place in range(len(SERIES) + 1)]
    figure = band_panel(Panel("", [band(name) for name in names]), **LABELS)
    lines = figure.axes[0].lines
    assert lines[0].get_color() == lines[-1].get_color()
    assert lines[0].get_linestyle() != lines[-1].get_linestyle()


def test_nothing_to_draw_is_an_error() -> None:
    for panels in ([], [Panel("a", [])], [Panel("a", [band("one")]), Panel("b", [])]):
        with pytest.raises(InvalidInput, match="at least one panel"):
            band_grid(panels, **LABELS)
