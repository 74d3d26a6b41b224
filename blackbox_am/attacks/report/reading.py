"""Reports that are read again from their folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from blackbox_am.attacks.report.summaries import Row, Summary, decode_rows, decode_summary
from blackbox_am.attacks.report.writing import ROWS, SUMMARY
from blackbox_am.errors import InvalidInput


@dataclass(frozen=True)
class Report:
    """A report that was read from its folder.

    Attributes:
        folder: the folder.
        summary: the content of `summary.json`.
        rows: the content of `rows.csv`.
    """

    folder: Path
    summary: Summary
    rows: tuple[Row, ...]

    def rows_of(self, result: int) -> list[Row]:
        """The rows of result number `result`, from 0."""
        return [row for row in self.rows if row.result == result]


def read_report(folder: Path | str) -> Report:
    """Read the report that `write_report` wrote into `folder`.

    Raises:
        InvalidInput: if the folder has no report, or if its files are damaged or do not fit each
            other.
    """
    folder = Path(folder)
    try:
        summary = decode_summary((folder / SUMMARY).read_bytes())
        rows = decode_rows((folder / ROWS).read_bytes())
    except OSError as error:
        raise InvalidInput(
            f"{folder} has no attack report: {error.filename} cannot be read ({error.strerror}); "
            "give a folder that `blackbox-am attack --out` wrote"
        ) from error
    except InvalidInput as error:
        raise InvalidInput(
            f"{folder} has no attack report that can be read: {error.message}"
        ) from (error)
    expected = [one.statistics.total for one in summary.results]
    found = [sum(row.result == number for row in rows) for number in range(len(expected))]
    if expected != found or len(rows) != sum(found):
        raise InvalidInput(
            f"{folder}: {SUMMARY} is for results of {expected} inputs, and {ROWS} has {found}; "
            "the two files are not of one report"
        )
    return Report(folder, summary, tuple(rows))
