"""The page of a report: what the template shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from blackbox_am.attacks.report import tables
from blackbox_am.attacks.report.flags import Flag
from blackbox_am.attacks.report.gallery import Gallery, kind_of
from blackbox_am.attacks.report.statistics import robust_to_all
from blackbox_am.attacks.report.summaries import ResultSummary
from blackbox_am.attacks.report.wording import (
    NONE,
    OUTCOMES,
    ball_text,
    class_text,
    number,
    percent,
    queries_text,
    share_text,
    threat_text,
)
from blackbox_am.attacks.results import AttackResult, Outcome
from blackbox_am.reports import render

_LINES = 50
"""Greatest number of inputs without a result that are listed."""


@dataclass(frozen=True)
class Drawn:
    """A figure in the page: its data URI and the text below it."""

    uri: str
    text: str


@dataclass(frozen=True)
class Tile:
    """A number that a reader sees first."""

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class Content:
    """What a page is made of.

    Attributes:
        title: title of the page.
        results: the results, one or more.
        summaries: the summary of each result.
        flags: the flags of all results.
        figures: figures of queries and of robustness, as data URIs, by name.
        confusions: data URI of the confusion of each result; None without one.
        galleries: the gallery of each result.
        files: name and text of the files beside the page.
    """

    title: str
    results: Sequence[AttackResult]
    summaries: Sequence[ResultSummary]
    flags: Sequence[Flag]
    figures: Mapping[str, str]
    confusions: Sequence[str | None]
    galleries: Sequence[Gallery]
    files: Sequence[tuple[str, str]]


_FIGURES = {
    "success": "Fooled inputs against queries, in percent of the attacked inputs.",
    "robustness": "Accuracy under attack against the size of the ball, with 95 % intervals.",
    "stops": "Inputs by the number of queries at which they were fooled.",
}


def page(content: Content) -> str:
    """The page as HTML."""
    results, summaries = content.results, content.summaries
    titles = [one.title for one in summaries]
    confusions = [
        Drawn(uri, f"{title}: answers to the inputs that were fooled, before and after.")
        for title, uri in zip(titles, content.confusions, strict=True)
        if uri is not None
    ]
    return render(
        "attack.html",
        title=content.title,
        subtitle=_subtitle(results),
        partial=_partial(results),
        lead=_lead(results, summaries),
        flags=content.flags,
        audited=_audited(summaries),
        tiles=_tiles(results[0], summaries[0]) if len(results) == 1 else [],
        columns=titles,
        numbers=tables.number_groups(
            [one.statistics for one in summaries],
            [result.spent for result in results],
            [result.budget for result in results],
        ),
        figures=[Drawn(uri, _FIGURES[name]) for name, uri in content.figures.items()],
        galleries=_galleries(content),
        confusions=confusions,
        audits=tables.audit_lines([one.audit for one in summaries]),
        unattacked=_unattacked(results, titles),
        identity=tables.identity_lines(results),
        files=content.files,
    )


def _subtitle(results: Sequence[AttackResult]) -> str:
    if len(results) == 1:
        return f"{threat_text(results[0])}. Seed {results[0].seed}."
    return f"{len(results)} results. Each column of the tables is one of them."


def _partial(results: Sequence[AttackResult]) -> str:
    stopped = [result for result in results if not result.complete]
    if not stopped:
        return ""
    left = sum(len(result.of(Outcome.UNFINISHED)) for result in stopped)
    total = sum(len(result.inputs) for result in stopped)
    return (
        f"the attack was stopped before its end, and {left:,} of {total:,} inputs are unfinished. "
        "They are left out of all rates and queries. Resume the attack for a result on all inputs."
    )


def _lead(results: Sequence[AttackResult], summaries: Sequence[ResultSummary]) -> list[str]:
    sentences = []
    for result, summary in zip(results, summaries, strict=True):
        rate, all_of = summary.statistics.success_rate, summary.statistics.queries_of_attacked
        if rate.value is None:
            sentences.append(f"{result.attack} attacked no input of {result.oracle} to the end.")
            continue
        median = queries_text(all_of.median, result.budget, failures=summary.statistics.failed)
        sentences.append(
            f"{result.attack} fooled {result.oracle} on {rate.count:,} of {rate.of:,} attacked "
            f"inputs ({percent(rate.value)}) within {ball_text(result.norm, result.eps)}; median "
            f"of {median} queries over all attacked inputs."
        )
    balls: dict[tuple[str, float, bool], list[AttackResult]] = {}
    for result in results:
        balls.setdefault((result.norm, result.eps, result.targeted), []).append(result)
    for (norm, eps, _), group in balls.items():
        if len({result.attack for result in group}) > 1:
            left = share_text(robust_to_all(group))
            sentences.append(
                f"The {len(group)} attacks within {ball_text(norm, eps)} together leave a robust "
                f"accuracy of {left}: an input is lost if any of them fooled it."
            )
    return sentences


def _audited(summaries: Sequence[ResultSummary]) -> str:
    audits = [one.audit for one in summaries]
    successes = sum(one.statistics.success for one in summaries)
    if not successes or any(not one.passed or one.unmeasured for one in audits):
        return ""
    stored = "as stored, with 8 bits" if all(one.eight_bit for one in audits) else "as stored"
    return (
        f"all {successes:,} successes were measured afresh, {stored}, and fooled the model again; "
        "all stored inputs are inside the ball and in [0, 1]."
    )


def _tiles(result: AttackResult, summary: ResultSummary) -> list[Tile]:
    numbers = summary.statistics
    rate, robust = numbers.success_rate, numbers.robust_accuracy
    median = queries_text(
        numbers.queries_of_attacked.median, result.budget, failures=numbers.failed
    )
    fooled = number(numbers.queries_of_successes.median)
    clean = percent(numbers.clean_accuracy.value)
    return [
        Tile("Success rate", percent(rate.value), f"{rate.count:,} of {rate.of:,} attacked inputs"),
        Tile("Robust accuracy", percent(robust.value), f"clean accuracy {clean}"),
        Tile("Median queries", median, f"all attacked inputs; {fooled} over those fooled"),
        Tile(
            "Verified successes",
            f"{numbers.verified:,} of {numbers.success:,}",
            "fooled the model again in a fresh query",
        ),
    ]


def _galleries(content: Content) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for summary, result, gallery in zip(
        content.summaries, content.results, content.galleries, strict=True
    ):
        cards = gallery.cards
        attacked = len(result.attacked)
        note = f"All {attacked:,} attacked inputs are shown. "
        if len(cards) < attacked:
            note = (
                f"{len(cards):,} of {attacked:,} attacked inputs are shown, "
                f"{attacked - len(cards):,} are left out: successes from few to many queries, and "
                f"some failures. {summary.arrays} has all inputs. "
            )
        note += "A failure is shown with the best try of the attack."
        if kind_of(result.clean.shape[1:]) == "picture" and cards:
            note += (
                f" The difference is amplified {gallery.factor:g} times around grey. The folder "
                f"pictures has {gallery.files:,} inputs in full size."
            )
        found.append({"title": summary.title, "note": note, "cards": cards})
    return found


def _unattacked(results: Sequence[AttackResult], titles: Sequence[str]) -> dict[str, object]:
    order = (Outcome.ERROR, Outcome.UNFINISHED, Outcome.SKIPPED)
    lines = [
        {
            "result": title,
            "name": one.name,
            "outcome": OUTCOMES[one.outcome],
            "label": class_text(result.classes, one.label),
            "answer": class_text(result.classes, one.clean_label),
            "message": one.message or NONE,
        }
        for outcome in order
        for result, title in zip(results, titles, strict=True)
        for one in result.of(outcome)
    ]
    left = len(lines) - _LINES
    note = "Errors first, then unfinished and skipped inputs."
    if left > 0:
        note += f" {_LINES} of {len(lines):,} are listed; rows.csv has all."
    return {"lines": lines[:_LINES], "note": note}
