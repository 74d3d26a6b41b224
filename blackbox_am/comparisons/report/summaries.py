"""The numbers of a report for programs: a summary for JSON, and one row for each run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from blackbox_am.comparisons.metrics import metrics
from blackbox_am.comparisons.numbers import Metrics
from blackbox_am.comparisons.results import ComparisonResult
from blackbox_am.comparisons.scales import scale_of
from blackbox_am.comparisons.statistics import on_scale, paired

FORMAT = "blackbox_am comparison 1"


def summary_of(result: ComparisonResult) -> dict[str, Any]:
    """All numbers of a result that are not of single runs, ready for JSON.

    A number that does not exist, and a number of queries to a level that was never reached, is
    None. For each method, `numbers` are medians over units of medians over seeds, and `of_scale` is
    the same median on the scale of the comparison with its 95 % interval.
    """
    found, scale = metrics(result), scale_of(result)
    against = {one.method: one for one in paired(result)}
    methods = []
    for method in result.methods:
        numbers = found.by_method.get(method.name)
        median, low, high = on_scale(result, method.name, scale)
        methods.append(
            {
                **asdict(method),
                "result": None if numbers is None else asdict(numbers),
                "of_scale": {"median": median, "low": low, "high": high},
                "against_baseline": asdict(against[method.name])
                if method.name in against
                else None,
            }
        )
    plain: dict[str, Any] = _plain(
        {
            "format": FORMAT,
            "name": result.name,
            "complete": result.complete,
            "identity": dict(result.identity),
            "baseline": result.baseline,
            "budget": result.budget,
            "seeds": list(result.seeds),
            "scale": scale.name,
            "methods": methods,
            "units": _units(result, found),
            "protocol": [asdict(part) for part in result.protocol],
            "warnings": list(result.warnings),
        }
    )
    return plain


def rows_of(result: ComparisonResult) -> list[dict[str, Any]]:
    """One row of plain values for each run, for CSV or parquet: all rows have the same columns.

    None where there is no number, and where a level was never reached.
    """
    found = metrics(result)
    units = {unit.unit: unit for unit in result.units}
    return [
        _plain(
            {
                "method": row.run.method,
                "unit": row.run.unit,
                "layer": row.layer,
                "seed": row.run.seed,
                **asdict(row.numbers),
                "rows": row.run.rows,
                "backward_rows": row.run.backward_rows,
                "score_error": row.run.score_error,
                "equivalents": float(row.run.equivalents[-1]) if row.run.equivalents.size else 0.0,
                **{f"unit_{key}": value for key, value in _level(found, row.run.unit).items()},
                "twin": units[row.run.unit].twin,
                "twin_correlation": units[row.run.unit].twin_correlation,
                "message": row.run.message,
            }
        )
        for row in found.runs
    ]


def _units(result: ComparisonResult, found: Metrics) -> list[dict[str, Any]]:
    return [
        {
            "unit": unit.unit,
            "layer": unit.layer,
            "natural_images": int(unit.natural.size),
            **_level(found, unit.unit),
            "twin": unit.twin,
            "twin_correlation": unit.twin_correlation,
            "methods": {
                row.method: {
                    "runs": row.runs,
                    "diversity": row.diversity,
                    **asdict(row.numbers),
                }
                for row in found.by_unit.values()
                if row.unit == unit.unit
            },
        }
        for unit in result.units
    ]


def _level(found: Metrics, unit: str) -> dict[str, Any]:
    level = asdict(found.levels[unit])
    return {key: level[key] for key in level if key not in ("first", "seconds")}


def _plain(value: Any) -> Any:
    """`value` with None for numbers that JSON does not have, and with plain types."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (str, bool, int)):
        return value
    return str(value)
