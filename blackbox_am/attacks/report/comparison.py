"""Two attacks side by side, on the inputs that both attacked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blackbox_am.attacks.report.digests import matches
from blackbox_am.attacks.report.reading import Report
from blackbox_am.attacks.report.statistics import Proportion, Queries, proportion, queries_of
from blackbox_am.attacks.report.summaries import ResultSummary, Row
from blackbox_am.attacks.report.wording import ball_text
from blackbox_am.attacks.results import Outcome
from blackbox_am.errors import InvalidInput


@dataclass(frozen=True)
class Pair:
    """Result `a` of one report and result `b` of another, input by input.

    Attributes:
        a, b: the two results.
        notes: what makes the two less comparable, in sentences.
        common: number of inputs that both results have.
        attacked: of these, the inputs that both attacked to the end. All numbers below are for
            them.
        both, only_a, only_b, neither: how many inputs were fooled by both, by one, by none.
        rate_a, rate_b: success rates.
        p_value: probability of at least this difference between `only_a` and `only_b` if both
            attacks are equally strong; two-sided exact test of Q. McNemar, "Note on the sampling
            error of the difference between correlated proportions or percentages" (1947).
        queries_a, queries_b: queries on the inputs that both fooled.
        ratio: median of b / median of a, on the inputs that both fooled; None without one.
        geometric_ratio: geometric mean over these inputs of the queries of b / those of a.
        fewer_a, fewer_b: on how many of these inputs a and b needed fewer queries than the other.
        all_a, all_b: queries on all attacked inputs; a failure counts as the budget.
    """

    a: ResultSummary
    b: ResultSummary
    notes: tuple[str, ...]
    common: int
    attacked: int
    both: int
    only_a: int
    only_b: int
    neither: int
    rate_a: Proportion
    rate_b: Proportion
    p_value: float
    queries_a: Queries
    queries_b: Queries
    ratio: float | None
    geometric_ratio: float | None
    fewer_a: int
    fewer_b: int
    all_a: Queries
    all_b: Queries


@dataclass(frozen=True)
class Comparison:
    """Two reports side by side.

    Attributes:
        a, b: the reports.
        pairs: results of equal threat models; or the only result of each report.
        unpaired: titles of results without a partner in the other report.
    """

    a: Report
    b: Report
    pairs: tuple[Pair, ...]
    unpaired: tuple[str, ...] = ()


def compare(a: Report, b: Report) -> Comparison:
    """Compare two reports input by input.

    Results of equal ball and goal are compared with each other, in order. If each report has only
    one result, these two are compared, and the notes say what differs.

    Raises:
        InvalidInput: if no results have equal threat models, or the two have no input in common.
    """
    places = _pairs(a.summary.results, b.summary.results)
    if not places:
        raise InvalidInput(
            f"{a.folder} and {b.folder} have no result of the same ball and goal: "
            f"{_balls(a)} and {_balls(b)}; compare reports of equal threat models"
        )
    pairs = tuple(_pair(a, b, i, j) for i, j in places)
    alone = [one.title for i, one in enumerate(a.summary.results) if i not in dict(places)]
    partners = {j for _, j in places}
    alone += [one.title for j, one in enumerate(b.summary.results) if j not in partners]
    return Comparison(a, b, pairs, tuple(alone))


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided p-value of McNemar's exact test: binomial, of the inputs that only one fooled."""
    total = only_a + only_b
    tail = sum(math.comb(total, k) for k in range(min(only_a, only_b) + 1))
    return float(min(1.0, 2 * tail / 2**total))


def _pairs(
    first: Sequence[ResultSummary], second: Sequence[ResultSummary]
) -> list[tuple[int, int]]:
    if len(first) == len(second) == 1:
        return [(0, 0)]
    keys = [
        [f"{one.norm} {one.eps:.9g} {one.targeted}" for one in results]
        for results in (first, second)
    ]
    return matches(*keys)


def _pair(a: Report, b: Report, i: int, j: int) -> Pair:
    one, other = a.summary.results[i], b.summary.results[j]
    rows_a, rows_b = a.rows_of(i), b.rows_of(j)
    common = [(rows_a[m], rows_b[n]) for m, n in _matched(rows_a, rows_b)]
    if not common:
        raise InvalidInput(
            f"{a.folder} and {b.folder} attacked different inputs ({len(rows_a)} and "
            f"{len(rows_b)}, none in common); compare attacks on the same inputs"
        )
    attacked = [pair for pair in common if all(map(_attacked, pair))]
    fooled = [(_fooled(x), _fooled(y)) for x, y in attacked]
    counts = {key: fooled.count(key) for key in ((True, True), (True, False), (False, True))}
    both = [(x.queries, y.queries) for x, y in attacked if _fooled(x) and _fooled(y)]
    queries_a, queries_b = (queries_of([pair[side] for pair in both]) for side in (0, 1))
    ratios = [max(y, 1) / max(x, 1) for x, y in both]
    return Pair(
        a=one,
        b=other,
        notes=tuple(_notes(one, other, common, len(rows_a), len(rows_b))),
        common=len(common),
        attacked=len(attacked),
        both=counts[True, True],
        only_a=counts[True, False],
        only_b=counts[False, True],
        neither=len(attacked) - sum(counts.values()),
        rate_a=proportion(sum(x for x, _ in fooled), len(fooled)),
        rate_b=proportion(sum(y for _, y in fooled), len(fooled)),
        p_value=mcnemar(counts[True, False], counts[False, True]),
        queries_a=queries_a,
        queries_b=queries_b,
        ratio=queries_b.median / queries_a.median
        if queries_a.median and queries_b.median
        else None,
        geometric_ratio=float(np.exp(np.mean(np.log(ratios)))) if ratios else None,
        fewer_a=sum(ratio > 1 for ratio in ratios),
        fewer_b=sum(ratio < 1 for ratio in ratios),
        all_a=queries_of([x.queries if _fooled(x) else one.budget for x, _ in attacked]),
        all_b=queries_of([y.queries if _fooled(y) else other.budget for _, y in attacked]),
    )


def _matched(first: Sequence[Row], second: Sequence[Row]) -> list[tuple[int, int]]:
    return matches([row.digest for row in first], [row.digest for row in second])


def _attacked(row: Row) -> bool:
    return row.outcome in (Outcome.SUCCESS, Outcome.FAILED)


def _fooled(row: Row) -> bool:
    return row.outcome is Outcome.SUCCESS


def _notes(
    one: ResultSummary,
    other: ResultSummary,
    common: Sequence[tuple[Row, Row]],
    first: int,
    second: int,
) -> list[str]:
    facts = {
        "oracle": (one.oracle, other.oracle),
        "ball": (ball_text(one.norm, one.eps), ball_text(other.norm, other.eps)),
        "goal": tuple("targeted" if x.targeted else "untargeted" for x in (one, other)),
        "budget": (f"{one.budget:,} queries", f"{other.budget:,} queries"),
    }
    for name in sorted(set(one.identity) & set(other.identity)):
        if "oracle" in name or "bits" in name:
            facts[name] = one.identity[name], other.identity[name]
    found = [f"The {name} differs: {x} and {y}." for name, (x, y) in facts.items() if x != y]
    if not len(common) == first == second:
        found.append(
            f"{len(common):,} inputs are in both reports; {first - len(common):,} of A and "
            f"{second - len(common):,} of B are left out."
        )
    for name in ("label", "target"):
        differ = sum(getattr(x, name) != getattr(y, name) for x, y in common)
        if differ:
            found.append(f"The {name} of {differ:,} common inputs differs.")
    for letter, summary in (("A", one), ("B", other)):
        if not summary.complete:
            found.append(f"{letter} is a partial result: it was stopped before its end.")
        if any(flag.severe for flag in summary.flags):
            found.append(f"{letter} has flags that make its numbers doubtful; read its report.")
    return found


def _balls(report: Report) -> str:
    return ", ".join(
        f"{ball_text(one.norm, one.eps)} {'targeted' if one.targeted else 'untargeted'}"
        for one in report.summary.results
    )
