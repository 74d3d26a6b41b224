"""Texts for the numbers of a comparison."""

from __future__ import annotations

import math

NONE = "–"
"""Stands where there is no number."""


def number(value: float, digits: int = 3) -> str:
    """A number with `digits` significant digits and separators of thousands: `1,234`, `0.0123`."""
    if math.isnan(value):
        return NONE
    if math.isinf(value) or value == 0:
        return f"{value:g}"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(places, 6)}f}" if abs(value) >= 1e-4 else f"{value:.{digits - 1}e}"


def times(value: float) -> str:
    """A ratio: `1.43 ×`."""
    return NONE if math.isnan(value) else f"{value:.2f} ×"


def percent(value: float, digits: int = 0) -> str:
    """A share as percent: `93 %`; 0 % and 100 % only if they are exact, else `> 99.9 %`."""
    if math.isnan(value):
        return NONE
    if 0 < value < 1 and round(100 * value, digits) in (0.0, 100.0):
        if digits:
            return "< 0.1 %" if value < 0.5 else "> 99.9 %"
        return percent(value, 1)
    return f"{100 * value:.{digits}f} %"


def percent_interval(value: float, low: float, high: float) -> str:
    """A share with its interval: `93 % [90, 96]`."""
    if math.isnan(value) or math.isnan(low):
        return percent(value)
    return f"{percent(value)} [{100 * low:.0f}, {100 * high:.0f}]"


def interval(value: float, low: float, high: float) -> str:
    """A number with its interval: `1.43 [1.21, 1.60]`."""
    if math.isnan(value) or math.isnan(low):
        return NONE if math.isnan(value) else f"{value:.2f}"
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def queries(value: float, budget: float) -> str:
    """A number of query-equivalents: `> 1,000` if the level was not reached."""
    if math.isnan(value):
        return NONE
    return f"> {budget:,.0f}" if math.isinf(value) else f"{value:,.0f}"


def p_value(value: float) -> str:
    """A p-value: `0.031`, `< 0.001`."""
    if math.isnan(value):
        return NONE
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def duration(seconds: float) -> str:
    """Seconds in words: `0.35 s`, `2 min 5 s`, `1 h 2 min`."""
    if math.isnan(seconds):
        return NONE
    if seconds < 60:
        return f"{number(seconds, 2)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def counted(count: int, noun: str) -> str:
    """`1 unit`, `20 units`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
