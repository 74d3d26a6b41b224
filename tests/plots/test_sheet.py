from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from blackbox_am.errors import InvalidInput
from blackbox_am.plots import sheet


def _pixels(figure):
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return np.asarray(Image.open(buffer).convert("RGB"))


def test_stimuli_are_drawn_row_by_row():
    greys = [np.full((1, 4, 4), value, np.float32) for value in (0.0, 0.25, 0.5, 0.75, 1.0)]
    pixels = _pixels(sheet(greys, columns=3))
    height, width = pixels.shape[:2]
    assert width > height
    middles = [
        [
            pixels[(2 * row + 1) * height // 4, (2 * column + 1) * width // 6, 0]
            for column in (0, 1, 2)
        ]
        for row in (0, 1)
    ]
    np.testing.assert_allclose(middles, [[0, 64, 128], [191, 255, 255]], atol=1)


def test_an_empty_sheet_is_refused():
    with pytest.raises(InvalidInput, match="at least one"):
        sheet([])


def test_every_kind_without_words():
    stimuli = [np.full(shape, 0.5) for shape in ((9,), (2, 30), (7, 4, 4), (2, 3, 4, 4))]
    figure = sheet(stimuli)
    assert not any(axes.texts for axes in figure.axes)
    assert _pixels(figure).std() > 10
