"""Writing of an analysis into a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from blackbox_am.errors import InvalidInput
from blackbox_am.plots import save
from blackbox_am.reports import write_page

PAGE = "analysis.html"


def write_folder(
    folder: Path,
    page: str,
    data: Mapping[str, NDArray[Any]],
    figure: Figure,
    parts: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Write `analysis.html`, `data.npz` and `plot.png` into `folder`, which is created if missing.

    Args:
        folder: the folder.
        page: the page `analysis.html`.
        data: the arrays of `data.npz`.
        figure: the figure of `plot.png`.
        parts: further pages by the names of their files, to which the page links.

    Returns:
        The path of the page.

    Raises:
        InvalidInput: if the folder cannot be written.
    """
    try:
        for name, text in {**parts, PAGE: page}.items():
            write_page(folder / name, text)
        np.savez_compressed(folder / "data.npz", **dict(data))  # type: ignore[arg-type]  # arrays
    except OSError as error:
        raise InvalidInput(
            f"the analysis cannot be written to {folder}: {error.strerror}; choose another folder"
        ) from error
    save(figure, folder / "plot.png")
    return folder / PAGE
