from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from blackbox_am.errors import InvalidInput
from blackbox_am.plots import FoundUnit, LayerRow, hierarchy


def _row(name, count, colour=(0, 0, 0), **more):
    picture = np.broadcast_to(np.asarray(colour, np.float32)[:, None, None], (3, 8, 8))
    units = [FoundUnit(f"{name}:{i}", picture, 1.5 + i, **more) for i in range(count)]
    return LayerRow(name, units, f"{count} units")


def _texts(figure):
    return [text.get_text() for text in figure.texts]


def _level(figure, text):
    (found,) = [each for each in figure.texts if each.get_text() == text]
    return found.get_position()


def test_layers_stand_below_each_other_in_the_given_order():
    figure = hierarchy([_row("z", 2), _row("a", 3)], heading="What", note="how")
    assert len(figure.axes) == 5
    assert _level(figure, "z")[1] > _level(figure, "a")[1]
    assert {"What", "how", "2 units", "z:0", "a:2", "1.50", "3.50"} <= set(_texts(figure))


def test_every_picture_is_drawn_in_its_own_colour():
    buffer = BytesIO()
    figure = hierarchy([_row("a", 1, (1, 0, 0)), _row("b", 1, (0, 0, 1))])
    figure.savefig(buffer, format="png", dpi=100)
    pixels = np.asarray(Image.open(buffer).convert("RGB"))
    red, blue = ((pixels == colour).all(-1) for colour in ((255, 0, 0), (0, 0, 255)))
    assert red.sum() > 5000
    assert blue.sum() > 5000
    assert np.argwhere(red)[:, 0].max() < np.argwhere(blue)[:, 0].min()


def test_many_layers_continue_in_columns_to_the_right():
    figure = hierarchy([_row(f"l{i}", 1) for i in range(25)], rows_per_column=10)
    assert _level(figure, "l9")[0] > _level(figure, "l8")[0]  # 9 lines in each of 3 columns
    assert _level(figure, "l9")[1] == pytest.approx(_level(figure, "l0")[1])
    assert figure.get_figheight() < hierarchy([_row("l", 1)] * 10).get_figheight()


def test_many_units_continue_on_further_lines_without_the_name():
    figure = hierarchy([_row("wide", 8)])
    assert len(figure.axes) == 8
    assert _texts(figure).count("wide") == 1


def test_labels_and_long_names():
    figure = hierarchy([_row("blocks.11.attention.output.dense", 1, label="tabby")])
    assert "tabby  1.50" in _texts(figure)
    assert "blocks.11…utput.dense:0" in _texts(figure)
    assert any(text.endswith("= blocks.11.attention.output.dense:0") for text in _texts(figure))
    assert hierarchy([_row("cost $ a $", 1)]).axes  # no formula


def test_refuses_nothing_to_draw():
    with pytest.raises(InvalidInput, match="at least one layer"):
        hierarchy([])
    with pytest.raises(InvalidInput, match="at least one unit"):
        hierarchy([LayerRow("a", [])])
