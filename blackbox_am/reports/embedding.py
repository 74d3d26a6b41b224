"""Pictures and figures as bytes, as data URIs and as elements of a page."""

from __future__ import annotations

import base64
import io
import re
import warnings
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from blackbox_am.core.stimuli import Numbers

_SVG: Any = {
    "svg.fonttype": "path",  # the reader's machine may lack the font
    "svg.hashsalt": "blackbox_am",  # the same figure has the same bytes
}
_LEFT_OUT = re.compile(r"<!--.*?-->|<metadata>.*?</metadata>|<style[^>]*>.*?</style>", re.DOTALL)
"""Parts of an SVG file that a page does not need. The style would be that of the whole page."""
_NAMED = re.compile(r'(\bid="|href="#|url\(#)')
_STYLE = 'style="stroke-linejoin: round; stroke-linecap: butt; max-width: {:.0f}pt"'
LARGEST = 1.4
"""How much a page may enlarge a figure."""


def png(picture: Numbers) -> bytes:
    """A picture (H, W) or (H, W, 3) in [0, 1] as PNG with 8 bits."""
    body = io.BytesIO()
    Image.fromarray(_bytes_of(picture)).save(body, "PNG")
    return body.getvalue()


def shrunk(picture: Numbers, side: int) -> Numbers:
    """A picture (H, W) or (H, W, 3) in [0, 1] of at most `side` pixels in each direction.

    A larger picture is averaged over areas, so that its proportions stay; a smaller one is returned
    as it is.
    """
    height, width = picture.shape[:2]
    if max(height, width) <= side:
        return picture
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    smaller = Image.fromarray(_bytes_of(picture)).resize(size, Image.Resampling.BOX)
    return np.asarray(smaller, np.float32) / np.float32(255)


def figure_svg(figure: Figure) -> bytes:
    """A figure as SVG with a transparent ground and without a date."""
    return _saved(figure, format="svg", metadata={"Date": None})


def figure_png(figure: Figure, *, dpi: int = 200) -> bytes:
    """A figure as PNG with a transparent ground, for lines of very many points."""
    return _saved(figure, format="png", dpi=dpi)


def _saved(figure: Figure, **options: Any) -> bytes:
    body = io.BytesIO()
    with warnings.catch_warnings(), mpl.rc_context(_SVG):
        # A class name in a script that the font lacks is drawn as boxes, and stands in the tables.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(body, transparent=True, **options)
    return body.getvalue()


def inline_svg(figure: Figure, name: str, text: str) -> Markup:
    """A figure as an element `svg` of a page, which the page's style sheet reaches.

    Args:
        figure: the figure.
        name: the beginning of the element's ids; no other figure of the page has the same.
        text: what the figure shows, for readers who do not see it.
    """
    body = figure_svg(figure).decode("utf-8")
    body = _NAMED.sub(lambda found: f"{found[1]}{name}-", _LEFT_OUT.sub("", body))
    head, _, rest = body.partition("<svg")[2].partition(">")
    label = Markup('class="figure" role="img" aria-label="{}"').format(text)
    style = _STYLE.format(LARGEST * 72 * figure.get_figwidth())
    return Markup(f"<svg {label} {style}{head}>{rest}")  # noqa: S704  # drawn by matplotlib


def data_uri(body: bytes) -> str:
    """A PNG or SVG file as a URI that contains it."""
    media = "image/png" if body.startswith(b"\x89PNG") else "image/svg+xml"
    return f"data:{media};base64,{base64.b64encode(body).decode()}"


def _bytes_of(picture: Numbers) -> NDArray[np.uint8]:
    return np.rint(np.clip(np.nan_to_num(picture), 0, 1) * 255).astype(np.uint8)
