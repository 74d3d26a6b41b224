"""Writing figures to files."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from blackbox_am.errors import InvalidInput, did_you_mean


def save(figure: Figure, path: Path | str, *, dpi: int = 160) -> Path:
    """Write `figure` to a file; the file name's ending selects the format.

    Missing folders are created.

    Args:
        figure: any matplotlib figure.
        path: a file name ending in .png, .pdf, .svg, ...
        dpi: dots per inch of raster formats.

    Returns:
        The path.

    Raises:
        InvalidInput: if matplotlib does not know the ending, or if the file cannot be written.
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
    """Check that `save` can write a file of this ending.

    Raises:
        InvalidInput: if matplotlib does not know the ending.
    """
    known = FigureCanvasAgg.get_supported_filetypes()
    ending = path.suffix.lower().removeprefix(".")
    if ending not in known:
        raise InvalidInput(
            f"{path}: expected the ending of a picture, such as .png or .pdf, got {path.suffix!r}"
            f"{did_you_mean(ending, known)}"
        )
