"""The files of a comparison for programs: a table of all runs, a summary, and the stimuli."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from blackbox_am.comparisons.metrics import Metrics, RunNumbers, metrics
from blackbox_am.comparisons.results import ComparedUnit, ComparisonResult
from blackbox_am.errors import InvalidInput

ROWS, PARQUET, SUMMARY, STIMULI = "results.csv", "results.parquet", "summary.json", "stimuli.npz"
FORMAT = 1
"""Version of the summary."""


def write_results(result: ComparisonResult, folder: Path | str) -> None:
    """Writes the results into `folder`, which is created if it is missing.

    ==================  ============================================================================
    file                content
    ==================  ============================================================================
    `results.csv`       one line for each method, unit and seed, with all numbers of `Numbers`: an
                        empty cell for a number that does not exist, `inf` for a level that was
                        never reached; `results.parquet` too if the package pyarrow is installed
    `summary.json`      protocol, methods, units, numbers of each method; null for both
    `stimuli.npz`       `stimuli` (R, *stimulus) float32, `method`, `unit`, `seed`, `score` (R,) of
                        the runs that found something; `natural` (K, *stimulus), the best natural
                        image of each of `natural_unit` (K,)
    ==================  ============================================================================

    Raises:
        InvalidInput: if the folder cannot be written.
    """
    folder, numbers = Path(folder), metrics(result)
    rows = rows_of(numbers)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_csv(rows, folder / ROWS)
        _write_parquet(rows, folder / PARQUET)
        (folder / SUMMARY).write_bytes(
            msgspec.json.format(msgspec.json.encode(summary_of(result, numbers)), indent=2) + b"\n"
        )
        np.savez_compressed(folder / STIMULI, **_stimuli(result))
    except OSError as error:
        raise InvalidInput(
            f"the results cannot be written to {folder}: {error.strerror}; choose another folder"
        ) from error


def rows_of(numbers: Metrics) -> list[dict[str, Any]]:
    """One mapping for each run, all with the same names."""
    return [_row(row) for row in numbers.runs]


def summary_of(result: ComparisonResult, numbers: Metrics) -> dict[str, Any]:
    """The summary as plain data. nan and infinity become null in JSON."""
    return {
        "format": FORMAT,
        "name": result.name,
        "complete": result.complete,
        "identity": dict(result.identity),
        "baseline": result.baseline,
        "budget": result.budget,
        "seeds": list(result.seeds),
        "protocol": [asdict(part) for part in result.protocol],
        "methods": [
            {
                "name": one.name,
                "optimizer": one.optimizer,
                "parameters": dict(one.parameters),
                "order": one.order,
                "cost": one.cost,
                "queries_per_target": one.queries_per_target,
                "reference": one.reference,
                "unavailable": one.unavailable,
                "numbers": asdict(numbers.by_method[one.name])
                if one.name in numbers.by_method
                else None,
            }
            for one in result.methods
        ],
        "units": [
            {**_unit(unit), "best_known": result.best_known.get(unit.unit)} for unit in result.units
        ],
        "warnings": list(result.warnings),
    }


def _unit(unit: ComparedUnit) -> dict[str, Any]:
    return {
        "unit": unit.unit,
        "layer": unit.layer,
        "natural": unit.natural.tolist(),
        "start": unit.start,
        "twin": unit.twin,
        "twin_correlation": unit.twin_correlation,
    }


def _row(row: RunNumbers) -> dict[str, Any]:
    run = row.run
    return {
        "method": run.method,
        "unit": run.unit,
        "layer": row.layer,
        "seed": run.seed,
        "score_error": run.score_error,
        **asdict(row.numbers),
        "message": run.message,
    }


def _write_csv(rows: list[dict[str, Any]], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["method"], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _cell(value) for name, value in row.items()})


def _cell(value: Any) -> Any:
    return "" if isinstance(value, float) and np.isnan(value) else value


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
        "method": np.array([run.method for run in shown], str),
        "unit": np.array([run.unit for run in shown], str),
        "seed": np.array([run.seed for run in shown], np.int64),
        "score": np.array([run.score for run in shown], np.float64),
        "natural": np.array([unit.natural_image for unit in natural], np.float32),
        "natural_unit": np.array([unit.unit for unit in natural], str),
    }
