"""The picture of one stimulus as a PNG file."""

from __future__ import annotations

import io

from blackbox_am.core.stimuli import Stimulus, as_picture, in_unit_interval, kind_of

_DOTS = 160
"""Dots per inch of drawn series and tables."""


def picture_png(stimulus: Stimulus, side: int | None = None) -> bytes:
    """A stimulus as PNG. An image has its own pixels; a series or a table row is drawn with axes.

    Args:
        stimulus: of any shape, float in [0, 1] or uint8.
        side: largest width and height of an image in pixels; its own size if None.
    """
    if kind_of(stimulus.shape) == "image":
        from blackbox_am.reports.embedding import png, shrunk

        picture, _ = as_picture(in_unit_interval(stimulus))
        return png(picture if side is None else shrunk(picture, side))
    from matplotlib.figure import Figure

    from blackbox_am.plots.stimuli import draw
    from blackbox_am.plots.style import house_style

    body = io.BytesIO()
    with house_style():
        size = (1.6, 1.3) if side is not None else (4.0, 2.6)
        figure = Figure(figsize=size, facecolor="white", layout="constrained")
        draw(figure.subplots(), stimulus, scales="inside" if side is not None else "outside")
        figure.savefig(body, dpi=72 if side is not None else _DOTS)
    return body.getvalue()
