"""Writing of an analysis into a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from blackbox_am.errors import InvalidInput
from blackbox_am.plots import save

PAGE = "analysis.html"


def write_folder(folder: Path, page: str, data: Mapping[str, NDArray[Any]], figure: Figure) -> Path:
    """Write `analysis.html`, `data.npz` and `plot.png` into `folder`, which is created if missing.

    Returns:
        The path of the page.

    Raises:
        InvalidInput: if the folder cannot be written.
    """
    write_page(folder / PAGE, page)
    try:
        np.savez_compressed(folder / "data.npz", **dict(data))  # type: ignore[arg-type]  # arrays
    except OSError as error:
        raise _refused(folder, error) from error
    save(figure, folder / "plot.png")
    return folder / PAGE


def write_page(path: Path, page: str) -> Path:
    """Write a page to its place in one step, so that a reader never sees half of it.

    Raises:
        InvalidInput: if the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}.part")
        unfinished.write_text(page, "utf-8")
        return unfinished.replace(path)
    except OSError as error:
        raise _refused(path.parent, error) from error


def _refused(folder: Path, error: OSError) -> InvalidInput:
    return InvalidInput(
        f"the analysis cannot be written to {folder}: {error.strerror}; choose another folder"
    )
