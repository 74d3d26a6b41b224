"""The files of a comparison for programs: a table of all runs, a summary, and the stimuli."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from blackbox_am.comparisons.report import rows_of, summary_of, write_report
from blackbox_am.comparisons.results import ComparisonResult
from blackbox_am.errors import InvalidInput

ROWS, PARQUET, SUMMARY, STIMULI = "results.csv", "results.parquet", "summary.json", "stimuli.npz"


def write_results(result: ComparisonResult, folder: Path | str) -> None:
    """Writes the results into `folder`, which is created if it is missing.

    ==================  ============================================================================
    file                content
    ==================  ============================================================================
    `results.csv`       one line for each method, unit and seed, with all their numbers; empty for a
                        number that does not exist. `results.parquet` too if the package pyarrow is
                        installed
    `summary.json`      protocol, methods, units, and the numbers of each
    `stimuli.npz`       of the R runs that found something: `stimuli` (R, *stimulus) float32 in
                        [0, 1], `latents` (R, D), `method`, `unit`, `seed` and `score` (R,); and
                        `natural` (K, *stimulus), the best natural image of each of the units
                        `natural_unit` (K,)
    ==================  ============================================================================

    Raises:
        InvalidInput: if the folder cannot be written.
    """
    folder, rows = Path(folder), rows_of(result)
    summary = msgspec.json.format(msgspec.json.encode(summary_of(result)), indent=2)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_csv(rows, folder / ROWS)
        _write_parquet(rows, folder / PARQUET)
        (folder / SUMMARY).write_bytes(summary + b"\n")
        np.savez_compressed(folder / STIMULI, **_stimuli(result))
    except OSError as error:
        raise InvalidInput(
            f"the results cannot be written to {folder}: {error.strerror}; choose another folder"
        ) from error


def write_all(result: ComparisonResult, folder: Path | str) -> Path:
    """Writes the results, and then the report for people, into `folder`; returns the page.

    Raises:
        InvalidInput: if the folder cannot be written.
    """
    write_results(result, folder)
    return write_report(result, folder)


def _write_csv(rows: list[dict[str, Any]], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["method"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write_parquet(rows: list[dict[str, Any]], path: Path) -> None:
    """Writes the table, or removes that of an earlier result if pyarrow is not installed."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        path.unlink(missing_ok=True)
        return
    pq.write_table(pa.Table.from_pylist(rows), path)


def _stimuli(result: ComparisonResult) -> Mapping[str, Any]:
    shown = [run for run in result.runs if run.stimulus is not None]
    natural = [unit for unit in result.units if unit.natural_image is not None]
    return {
        "stimuli": np.array([run.stimulus for run in shown], np.float32),
        "latents": np.array([run.latent for run in shown]),
        "method": np.array([run.method for run in shown], str),
        "unit": np.array([run.unit for run in shown], str),
        "seed": np.array([run.seed for run in shown], np.int64),
        "score": np.array([run.score for run in shown], np.float64),
        "natural": np.array([unit.natural_image for unit in natural], np.float32),
        "natural_unit": np.array([unit.unit for unit in natural], str),
    }
