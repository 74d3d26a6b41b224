"""Writing of the page of a comparison."""

from __future__ import annotations

from pathlib import Path

from blackbox_am.comparisons.report.page import page
from blackbox_am.comparisons.results import ComparisonResult
from blackbox_am.errors import InvalidInput
from blackbox_am.reports import write_page

PAGE = "report.html"


def write_report(result: ComparisonResult, folder: Path | str) -> Path:
    """Write the report of a comparison as `report.html` into `folder`.

    The page needs no other file: figures and pictures stand inside it. It is written to its place
    in one step, so that a reader never sees half a page.

    Args:
        result: the result of the comparison, also of one that has not ended.
        folder: the folder; created if it is missing.

    Returns:
        The path of the page.

    Raises:
        InvalidInput: if the folder cannot be written.
    """
    folder = Path(folder)
    body = page(result)
    try:
        return write_page(folder / PAGE, body)
    except OSError as error:
        raise InvalidInput(
            f"the report cannot be written to {folder}: {error.strerror}; choose another folder"
        ) from error
