"""Results of a benchmark, as a table and as JSON."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

WIDTH = 140
"""Width in characters of a table that is written to a file or a pipe."""


@dataclass(frozen=True)
class Measurement:
    """One line of a benchmark.

    Attributes:
        name: the measured quantity.
        value: the measured number, in `unit`.
        unit: unit of `value` and `baseline`.
        baseline: the number of the baseline, measured in the same run.
        ratio: the ratio to which the target applies; see the benchmark's documentation.
        target: the target as text, such as `<= 1.05`.
        met: whether the target was reached; None if there is no target.
        low: lower quartile of `ratio` over the repeats; nan if there is only one repeat.
        high: upper quartile of `ratio` over the repeats; nan if there is only one repeat.
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
    """Compare paired repeats with their baseline, by the median of the ratios.

    Args:
        name: the measured quantity.
        values: one value for each repeat.
        baselines: the baseline of each repeat, measured close to it in time.
        unit: unit of values and baselines.
        at_most: largest ratio that meets the target; infinite for no target.
        at_least: smallest ratio that meets the target; 0 for no target.
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
    """A measurement whose value should reach `target`; the ratio is value over baseline."""
    return Measurement(
        name, value, unit, baseline, value / baseline, f">= {target:g} {unit}", value >= target
    )


def in_turn(
    ways: dict[str, Callable[[], object]],
    repeats: int,
    title: str,
    say: Callable[[str], None],
    *,
    calls: int = 1,
) -> dict[str, list[float]]:
    """Seconds of each function in each repeat, as the median of `calls` consecutive calls.

    The functions are measured in turn, in alternating order, so that a drift of the machine
    affects all of them equally. The first round is a warm-up and is not counted.
    """
    found: dict[str, list[float]] = {name: [] for name in ways}
    for index in range(repeats + 1):
        for name in list(ways) if index % 2 else list(reversed(ways)):
            took = []
            for _ in range(calls):
                started = time.perf_counter()
                ways[name]()
                took.append(time.perf_counter() - started)
            if index:  # the first round is a warm-up
                found[name].append(float(np.median(took)))
        say(f"{title}: {index} of {repeats}")
    return found


def rates(found: dict[str, list[float]], amount: float) -> dict[str, list[float]]:
    """`amount` a second, for seconds of each function and repeat."""
    return {name: [amount / seconds for seconds in each] for name, each in found.items()}


def show(title: str, measurements: Sequence[Measurement], json_file: Path | None) -> None:
    """Print the table, and write the JSON file if one is given."""
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
    """The same data with None in place of nan, because JSON has no nan."""
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in plain.items()
    }
