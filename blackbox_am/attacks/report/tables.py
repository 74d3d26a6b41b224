"""The tables of a report: one row for each number, one column for each result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from blackbox_am.attacks.report.audit import Audit
from blackbox_am.attacks.report.statistics import Statistics
from blackbox_am.attacks.report.wording import (
    NORMS,
    eps_text,
    number,
    queries_text,
    share_text,
    threat_text,
)
from blackbox_am.attacks.results import AttackResult
from blackbox_am.core.types import Accounting
from blackbox_am.version import __version__

_QUERIES = ("median", "mean", "p90")


@dataclass(frozen=True)
class Line:
    """One row of a table.

    Attributes:
        name: what the values are.
        values: one text for each result.
        bad: positions of values that a reader must not overlook.
    """

    name: str
    values: tuple[str, ...]
    bad: frozenset[int] = frozenset()

    @property
    def same(self) -> bool:
        """Whether all values are equal."""
        return len(set(self.values)) == 1


@dataclass(frozen=True)
class Group:
    """Rows of a table under a heading.

    Attributes:
        name: the heading.
        lines: the rows.
    """

    name: str
    lines: tuple[Line, ...]


def number_groups(
    all_of: Sequence[Statistics], accounts: Sequence[Accounting], budgets: Sequence[int]
) -> list[Group]:
    """All numbers of several results."""
    return [
        Group("Inputs", _outcomes(all_of)),
        Group("Shares, with 95 % interval", _shares(all_of)),
        Group("Queries, of the inputs that were fooled", _queries_of_successes(all_of)),
        Group("Queries, of all attacked inputs", _queries_of_attacked(all_of, budgets)),
        Group("Oracle", _account(all_of, accounts)),
    ]


def _outcomes(all_of: Sequence[Statistics]) -> tuple[Line, ...]:

    def line(name: str, text: Callable[[Statistics], str]) -> Line:
        return Line(name, tuple(map(text, all_of)))

    return (
        line("inputs", lambda s: f"{s.total:,}"),
        line("correct before the attack", lambda s: number(s.correct)),
        line("skipped", lambda s: f"{s.skipped:,}"),
        line("attacked to the end", lambda s: f"{s.success + s.failed:,}"),
        line("fooled (success)", lambda s: f"{s.success:,}"),
        line("not fooled (failed)", lambda s: f"{s.failed:,}"),
        line("error", lambda s: f"{s.error:,}"),
        line("unfinished", lambda s: f"{s.unfinished:,}"),
    )


def _shares(all_of: Sequence[Statistics]) -> tuple[Line, ...]:
    return tuple(
        Line(name.replace("_", " "), tuple(share_text(getattr(s, name)) for s in all_of))
        for name in ("success_rate", "clean_accuracy", "robust_accuracy")
    )


def _queries_of_successes(all_of: Sequence[Statistics]) -> tuple[Line, ...]:
    return tuple(
        Line(name, tuple(number(getattr(s.queries_of_successes, name)) for s in all_of))
        for name in _QUERIES
    )


def _queries_of_attacked(all_of: Sequence[Statistics], budgets: Sequence[int]) -> tuple[Line, ...]:
    """The queries of all, where a failure counts as the budget."""
    lines = []
    for name in _QUERIES:
        values = [
            queries_text(getattr(s.queries_of_attacked, name), budget, failures=s.failed)
            for s, budget in zip(all_of, budgets, strict=True)
        ]
        lines.append(Line(name, tuple(values)))
    return tuple(lines)


def _account(all_of: Sequence[Statistics], accounts: Sequence[Accounting]) -> tuple[Line, ...]:
    """What the oracle received, by purpose; purposes without a row are left out."""
    names = {
        "rows": "rows, for all purposes",
        "search_rows": "of these: search",
        "initialisation_rows": "of the search: initialisation",
        "loss_rows": "of the search: scores that lead it",
        "check_rows": "of the search: tests of success",
        "clean_rows": "of these: clean inputs",
        "probe_rows": "of these: repeatability test",
        "baseline_rows": "of these: natural images",
        "recheck_rows": "of these: best candidates again",
        "verify_rows": "of these: verification",
        "surplus_rows": "of these: after a success, in one call",
        "retried_rows": "of these: lost answers",
        "padding_rows": "of these: padding of short batches",
        "backward_rows": "rows backward, for gradients",
        "cache_hits": "rows that a cache answered instead",
        "calls": "calls",
        "retries": "of these: repeated",
        "cost": "cost",
    }
    counts = [
        {**asdict(account), "search_rows": one.search_rows, "padding_rows": one.padding_rows}
        for one, account in zip(all_of, accounts, strict=True)
    ]
    lines = []
    for field, name in names.items():
        values = [count[field] for count in counts]
        if any(values) or field in ("rows", "calls"):
            lines.append(Line(name, tuple(map(number, values))))
    ratios = [account.rows / account.calls if account.calls else None for account in accounts]
    return (*lines, Line("rows for each call", tuple(map(number, ratios))))


def audit_lines(audits: Sequence[Audit]) -> list[Line]:
    """What the stored inputs show."""

    def line(name: str, text: Callable[[Audit], str], bad: Callable[[Audit], float]) -> Line:
        return Line(
            name,
            tuple(map(text, audits)),
            frozenset(place for place, one in enumerate(audits) if bad(one)),
        )

    def fine(_: Audit) -> bool:
        return False

    largest = [
        line(f"largest {NORMS[norm]} distance", lambda a, norm=norm: _distance(a, norm), fine)  # type: ignore[misc]
        for norm in NORMS
        if any(norm == a.norm or a.distances.get(norm) for a in audits)
    ]
    return [
        line("ball", lambda a: f"{NORMS[a.norm]} ≤ {eps_text(a.norm, a.eps)}", fine),
        *largest,
        line("inputs outside the ball", lambda a: f"{a.outside:,}", lambda a: a.outside),
        line("largest excess over the ball", lambda a: f"{a.violation:.2g}", lambda a: a.outside),
        line("range of the values", _range, _leaves_range),
        line("values that are not finite", lambda a: f"{a.nan:,}", lambda a: a.nan),
        line("stored with 8 bits", lambda a: "yes" if a.eight_bit else "no, as float32", fine),
        line("successes verified by a fresh query", lambda a: f"{a.verified:,}", fine),
        line(
            "inputs that a fresh query refuted",
            lambda a: f"{a.unverified:,}",
            lambda a: a.unverified,
        ),
        line(
            "successes without a fresh query",
            lambda a: f"{a.unmeasured:,}",
            lambda a: a.unmeasured,
        ),
    ]


def identity_lines(results: Sequence[AttackResult]) -> list[Line]:
    """What is needed to repeat the attack: attack, parameters, threat model, oracle, data."""
    facts = [_facts(result) for result in results]
    names = list(dict.fromkeys(name for one in facts for name in one))
    return [Line(name, tuple(one.get(name, "") for one in facts)) for name in names]


def _facts(result: AttackResult) -> dict[str, str]:
    parameters = {f"parameter {key}": str(value) for key, value in result.parameters.items()}
    return {
        "attack": result.attack,
        **parameters,
        "threat model": threat_text(result),
        "eps": f"{result.eps!r}",
        "seed": f"{result.seed}",
        "oracle": result.oracle,
        "labels": "the model's own answers" if result.own_labels else "given",
        "classes": f"{len(result.classes):,}",
        "version": __version__,
        **result.identity,
    }


def _distance(one: Audit, norm: str) -> str:
    distance = one.distances.get(norm)
    if distance is None or norm == "l0":
        return number(distance)
    exact = f"{distance:.6g}"
    steps = eps_text(norm, distance)
    return exact if steps == exact else f"{steps} = {exact}"


def _range(one: Audit) -> str:
    return "–" if one.lowest is None else f"{one.lowest:.6g} to {one.highest:.6g}"


def _leaves_range(one: Audit) -> bool:
    return (one.lowest or 0) < -one.tolerance or (one.highest or 0) > 1 + one.tolerance
