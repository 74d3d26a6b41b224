"""Figures to files."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from blackbox_am.errors import InvalidInput, did_you_mean


def save(figure: Figure, path: Path | str, *, dpi: int = 160) -> Path:
    """Writes `figure` in the format that the ending of `path` names.

    Folders are made where they are missing.

    Args:
        figure: any matplotlib figure.
        path: a file name ending in .png, .pdf, .svg, ...
        dpi: dots per inch, for formats made of dots.

    Returns:
        The path.

    Raises:
        InvalidInput: for an ending that matplotlib cannot write, or a place that cannot be
            written.
    """
    path = Path(path)
    check_ending(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=dpi, facecolor="white")
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be written: {error.strerror}; choose another place"
        ) from error
    return path


def check_ending(path: Path) -> None:
    """Whether `save` can write such a file.

    Raises:
        InvalidInput: for an ending that matplotlib cannot write.
    """
    known = FigureCanvasAgg.get_supported_filetypes()
    ending = path.suffix.lower().removeprefix(".")
    if ending not in known:
        raise InvalidInput(
            f"{path}: expected a picture's ending, such as .png or .pdf, got {path.suffix!r}"
            f"{did_you_mean(ending, known)}"
        )
