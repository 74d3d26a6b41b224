"""The result of a comparison in a few sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from blackbox_am.comparisons.metrics import median
from blackbox_am.comparisons.numbers import Metrics
from blackbox_am.comparisons.report.wording import counted, interval, p_value, percent_interval
from blackbox_am.comparisons.results import ComparisonResult, Method
from blackbox_am.comparisons.scales import Scale
from blackbox_am.comparisons.statistics import Paired, on_scale


def headline(
    result: ComparisonResult, found: Metrics, scale: Scale, against: Sequence[Paired]
) -> list[str]:
    """One sentence for each compared method, the best first, and one about natural images."""
    if not result.runs:
        return ["No method has a result."]
    compared = sorted(
        (one for one in against if not one.reference),
        key=lambda one: -math.inf if math.isnan(one.ratio) else one.ratio,
        reverse=True,
    )
    methods = {method.name: method for method in result.methods}
    sentences = [_against(result, methods[one.method], one, found) for one in compared]
    if not against:
        sentences.append(_without_baseline(result))
    sentences.append(_natural(result, found, scale))
    return [sentence for sentence in sentences if sentence]


def _against(result: ComparisonResult, method: Method, one: Paired, found: Metrics) -> str:
    kind = "with gradients" if method.order else "gradient-free"
    units = one.wins + one.ties + one.losses
    if not units:
        return f"{method.name} ({kind}) and {result.baseline} have no unit in common."
    equal = "at equal query-equivalents"
    if not math.isnan(one.ratio):
        share = percent_interval(one.ratio, one.low, one.high)
        few = f", over the {one.ratios} units with a positive score" if one.ratios < units else ""
        reached = f"reaches {share} of what {result.baseline} finds {equal}{few}"
    else:
        gap = median(
            [row.numbers.gap_closed for row in found.by_unit.values() if row.method == method.name]
        )
        share = percent_interval(gap, math.nan, math.nan)
        reached = f"closes {share} of the gap from a random start to {result.baseline} {equal}"
    outcome = f"it loses on {one.losses} of {counted(units, 'unit')}"
    others = [
        f"{word} on {number}" for word, number in (("wins", one.wins), ("ties", one.ties)) if number
    ]
    tested = "" if math.isnan(one.adjusted) else f" (Wilcoxon, corrected: p {_p(one.adjusted)})"
    return f"{method.name} ({kind}) {reached}; {', '.join([outcome, *others])}{tested}."


def _without_baseline(result: ComparisonResult) -> str:
    reasons = {method.name: method.unavailable for method in result.methods}
    reason = reasons.get(result.baseline, "")
    return (
        f"The baseline {result.baseline} has no result"
        f"{f' ({reason})' if reason else ''}, so no method is compared with gradients."
    )


def _natural(result: ComparisonResult, found: Metrics, scale: Scale) -> str:
    """How many units of each method exceed every natural image, and by how much."""
    images = max((unit.natural.size for unit in result.units), default=0)
    if not images:
        return ""
    parts = []
    for method in result.methods:
        if method.reference or method.name not in found.by_method:
            continue
        units = [row for row in found.by_unit.values() if row.method == method.name]
        above = sum(row.numbers.score > found.levels[row.unit].natural_max for row in units)
        part = f"{method.name} on {above} of {counted(len(units), 'unit')}"
        if scale.natural:
            part += f" ({interval(*on_scale(result, method.name, scale))} × the natural maximum)"
        parts.append(part)
    return f"Above the best of {counted(images, 'natural image')}: {', '.join(parts)}."


def _p(value: float) -> str:
    text = p_value(value)
    return text if text.startswith("<") else f"= {text}"
