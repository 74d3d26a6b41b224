"""Contact sheets: many stimuli close together, without text."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from blackbox_am.errors import InvalidInput
from blackbox_am.plots.montage import Picture
from blackbox_am.plots.stimuli import draw
from blackbox_am.plots.style import house_style

_CELL = 0.9
_GAP = 0.05


def sheet(stimuli: Sequence[Picture], *, columns: int = 8) -> Figure:
    """Draw stimuli row by row, enlarged without smoothing.

    Args:
        stimuli: stimuli of any shape, float in [0, 1] or uint8.
        columns: largest number of stimuli in a row.

    Raises:
        InvalidInput: if there is no stimulus or `columns` is less than 1.
    """
    if not len(stimuli) or columns < 1:
        raise InvalidInput("a sheet needs at least one stimulus and one column")
    columns = min(columns, len(stimuli))
    rows = -(-len(stimuli) // columns)
    width, height = columns * (_CELL + _GAP) + _GAP, rows * (_CELL + _GAP) + _GAP
    with house_style():
        figure = Figure(figsize=(width, height), facecolor="white")
        for place, stimulus in enumerate(stimuli):
            row, column = divmod(place, columns)
            left, top = _GAP + column * (_CELL + _GAP), _GAP + row * (_CELL + _GAP)
            axes = figure.add_axes(
                (left / width, 1 - (top + _CELL) / height, _CELL / width, _CELL / height)
            )
            axes.set_axis_off()
            draw(axes, stimulus, words=False)
    return figure
