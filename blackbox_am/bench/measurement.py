"""What a benchmark says: a table for people, and the same as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

WIDTH = 140
"""Columns of a table that goes to a file or a pipe."""


@dataclass(frozen=True)
class Measurement:
    """One line of a benchmark.

    Attributes:
        name: what was measured.
        value: the number, in `unit`.
        unit: of `value` and `baseline`.
        baseline: the same of what it is compared with, in the same run.
        ratio: the figure that the target is about; see the benchmark's documentation.
        target: what was aimed for, in words: `<= 1.05`.
        met: whether the aim was reached; None where there was none.
        low, high: interval of `ratio`: quartiles over repeats, nan where there is one.
    """

    name: str
    value: float
    unit: str
    baseline: float = math.nan
    ratio: float = math.nan
    target: str = ""
    met: bool | None = None
    low: float = math.nan
    high: float = math.nan


def compare(
    name: str,
    values: Sequence[float],
    baselines: Sequence[float],
    unit: str,
    *,
    at_most: float = math.inf,
    at_least: float = 0.0,
) -> Measurement:
    """Paired repeats of something against its baseline: the median of their ratios.

    Args:
        values, baselines: one pair a repeat, taken close together in time.
        at_most, at_least: the ratios that meet the aim; none where neither is given.
    """
    ratios = np.asarray(values) / np.asarray(baselines)
    low, ratio, high = (float(q) for q in np.percentile(ratios, [25, 50, 75]))
    return Measurement(
        name,
        float(np.median(values)),
        unit,
        float(np.median(baselines)),
        ratio,
        f"<= {at_most:g}" if at_most < math.inf else f">= {at_least:g}" if at_least else "",
        at_least <= ratio <= at_most if at_most < math.inf or at_least else None,
        low,
        high,
    )


def at_least(
    name: str, value: float, unit: str, target: float, baseline: float = math.nan
) -> Measurement:
    """A number that should reach `target`; the ratio is value over baseline."""
    return Measurement(
        name, value, unit, baseline, value / baseline, f">= {target:g} {unit}", value >= target
    )


def show(title: str, measurements: Sequence[Measurement], json_file: Path | None) -> None:
    """Prints the table, and writes the JSON where a file is named."""
    table = Table(title=title, title_justify="left")
    table.add_column("measured", no_wrap=True)
    for heading in ("value", "baseline", "ratio", "quartiles", "target"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("met")
    for line in measurements:
        interval = "" if math.isnan(line.low) else f"{line.low:.3f} - {line.high:.3f}"
        table.add_row(
            line.name,
            f"{line.value:.4g} {line.unit}",
            "" if math.isnan(line.baseline) else f"{line.baseline:.4g} {line.unit}",
            "" if math.isnan(line.ratio) else f"{line.ratio:.3f}",
            interval,
            line.target,
            {True: "yes", False: "NO", None: ""}[line.met],
        )
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    console.print(table)
    if json_file is not None:
        json_file.write_text(
            json.dumps([without_nan(asdict(line)) for line in measurements], indent=2) + "\n"
        )


def without_nan(plain: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no nan: what was not measured is null."""
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in plain.items()
    }
