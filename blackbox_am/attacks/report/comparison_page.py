"""A comparison in words, as lines of a table, and as a page."""

from __future__ import annotations

from blackbox_am.attacks.report.comparison import Comparison, Pair
from blackbox_am.attacks.report.statistics import Proportion
from blackbox_am.attacks.report.tables import Group, Line
from blackbox_am.attacks.report.wording import (
    NONE,
    ball_text,
    number,
    percent,
    queries_text,
    share_text,
)
from blackbox_am.reports import render

_LEVEL = 0.05
_QUERIES = ("median", "mean", "p90")


def comparison_page(comparison: Comparison) -> str:
    """The comparison as an HTML page that needs no other file."""
    return render(
        "comparison.html",
        title="Two attacks side by side",
        folders=[str(comparison.a.folder), str(comparison.b.folder)],
        titles=[comparison.a.summary.title, comparison.b.summary.title],
        unpaired=comparison.unpaired,
        pairs=[
            {
                "title": ball_text(pair.a.norm, pair.a.eps),
                "verdict": verdict(pair),
                "notes": pair.notes,
                "columns": columns(pair),
                "groups": groups(pair),
            }
            for pair in comparison.pairs
        ],
    )


def columns(pair: Pair) -> list[str]:
    """The headings of the two columns."""
    return [f"A: {pair.a.attack}", f"B: {pair.b.attack}"]


def verdict(pair: Pair) -> list[str]:
    """What the comparison shows, in sentences."""
    if not pair.attacked:
        return ["No input was attacked to the end by both."]
    cause = "does not explain" if pair.p_value < _LEVEL else "may explain"
    if pair.only_a == pair.only_b:
        difference = "no difference"
    else:
        difference = f"chance {cause} this difference"
    success = (
        f"On the {pair.attacked:,} inputs that both attacked, A fooled {_share(pair.rate_a)} and B "
        f"{_share(pair.rate_b)}: {pair.only_a:,} were fooled by A alone and {pair.only_b:,} by B "
        f"alone; {difference} (McNemar's exact test, p = {pair.p_value:.2g})."
    )
    if pair.ratio is None:
        return [success]
    return [
        success,
        (
            f"On the {pair.both:,} inputs that both fooled, A needed a median of "
            f"{number(pair.queries_a.median)} queries and B of {number(pair.queries_b.median)} "
            f"(B / A = {pair.ratio:.3g}); A needed fewer on {pair.fewer_a:,} of them and B on "
            f"{pair.fewer_b:,}."
        ),
    ]


def groups(pair: Pair) -> list[Group]:
    """The numbers of both, as rows of a table with two columns."""
    return [
        Group(f"The {pair.attacked:,} inputs that both attacked", _attacked(pair)),
        Group(f"The {pair.both:,} inputs that both fooled", _fooled(pair)),
        Group("All inputs of each report", _whole(pair)),
    ]


def _attacked(pair: Pair) -> tuple[Line, ...]:
    sides = ((pair.all_a, pair.a, pair.rate_a), (pair.all_b, pair.b, pair.rate_b))
    queries = [
        Line(
            f"{name} queries, failures at budget",
            tuple(
                queries_text(getattr(spent, name), one.budget, failures=rate.of - rate.count)
                for spent, one, rate in sides
            ),
        )
        for name in _QUERIES
    ]
    return (
        Line("fooled", (f"{pair.rate_a.count:,}", f"{pair.rate_b.count:,}")),
        Line("fooled by this attack alone", (f"{pair.only_a:,}", f"{pair.only_b:,}")),
        Line("success rate, 95 % interval", (share_text(pair.rate_a), share_text(pair.rate_b))),
        *queries,
    )


def _fooled(pair: Pair) -> tuple[Line, ...]:
    queries = [
        Line(
            f"{name} queries",
            (number(getattr(pair.queries_a, name)), number(getattr(pair.queries_b, name))),
        )
        for name in _QUERIES
    ]
    return (
        *queries,
        Line("needed fewer queries", (f"{pair.fewer_a:,}", f"{pair.fewer_b:,}")),
        Line("median relative to A", ("1", _ratio(pair.ratio))),
        Line("geometric mean relative to A", ("1", _ratio(pair.geometric_ratio))),
    )


def _whole(pair: Pair) -> tuple[Line, ...]:
    both = (pair.a, pair.b)
    robust = tuple(share_text(one.statistics.robust_accuracy) for one in both)
    return (
        Line("inputs", tuple(f"{one.statistics.total:,}" for one in both)),
        Line("robust accuracy, 95 % interval", robust),
        Line("rows of the oracle", tuple(f"{one.spent.rows:,}" for one in both)),
        Line("calls of the oracle", tuple(f"{one.spent.calls:,}" for one in both)),
    )


def _share(rate: Proportion) -> str:
    return f"{rate.count:,} ({percent(rate.value)})"


def _ratio(ratio: float | None) -> str:
    return NONE if ratio is None else f"{ratio:.3g}"
