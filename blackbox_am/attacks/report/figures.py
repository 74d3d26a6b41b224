"""The figures of a report, by file name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from blackbox_am.attacks.report.statistics import statistics
from blackbox_am.attacks.report.wording import NORMS, eps_text
from blackbox_am.attacks.results import AttackResult, Outcome
from blackbox_am.plots import (
    Robustness,
    Stops,
    confusion,
    robustness,
    stop_histogram,
    success_curves,
)


def query_figures(results: Sequence[AttackResult], titles: Sequence[str]) -> dict[str, Figure]:
    """`success`: success against queries, and `stops`: histogram of the successes' queries."""
    stops = [
        Stops(
            title,
            np.asarray([one.queries for one in result.of(Outcome.SUCCESS)], np.int64),
            len(result.attacked),
            result.budget,
        )
        for result, title in zip(results, titles, strict=True)
    ]
    return {"success": success_curves(stops), "stops": stop_histogram(stops)}


def robustness_figure(results: Sequence[AttackResult]) -> Figure | None:
    """Robust accuracy against eps; None if no attack has results for two sizes of its ball.

    Balls of different norms are not comparable, so only those of the first such attack's norm are
    shown. The point at 0 is the accuracy on clean inputs.
    """
    groups: dict[tuple[str, str, bool], list[AttackResult]] = {}
    for result in results:
        groups.setdefault((result.norm, result.attack, result.targeted), []).append(result)
    several = {key: group for key, group in groups.items() if len({r.eps for r in group}) > 1}
    if not several:
        return None
    norm = next(iter(several))[0]
    shown = {key: group for key, group in groups.items() if key[0] == norm}
    lines = [_line(key, group) for key, group in shown.items()]
    sizes = np.unique(np.concatenate([line.eps for line in lines]))
    ticks = ["0" if size == 0 else eps_text(norm, float(size)) for size in sizes]
    return robustness(lines, label=f"eps ({NORMS.get(norm, norm)})", ticks=ticks)


def confusion_figure(result: AttackResult) -> Figure | None:
    """Clean against adversarial answers of the successes; None without both answers."""
    pairs = [
        (one.clean_label, one.adversarial_label)
        for one in result.of(Outcome.SUCCESS)
        if one.clean_label is not None and one.adversarial_label is not None
    ]
    if not pairs:
        return None
    before, after = zip(*pairs, strict=True)
    return confusion(before, after, result.classes)


def _line(key: tuple[str, str, bool], group: Sequence[AttackResult]) -> Robustness:
    _, attack, targeted = key
    numbers = [(result.eps, statistics(result)) for result in group]
    points = [(eps, one.robust_accuracy) for eps, one in numbers]
    points.append((0.0, numbers[0][1].clean_accuracy))
    known = sorted((eps, p.value, p.low, p.high) for eps, p in points if p.value is not None)
    eps, value, low, high = (
        np.asarray(column, np.float64) for column in zip(*known, strict=True)
    ) if known else (np.empty(0),) * 4  # fmt: skip
    return Robustness(f"{attack}, targeted" if targeted else attack, eps, value, low, high)
