"""Texts for the numbers of an attack, the same in every report."""

from __future__ import annotations

from collections.abc import Sequence

from blackbox_am.attacks.report.statistics import Proportion
from blackbox_am.attacks.results import AttackResult, Outcome
from blackbox_am.reports.page import count

NONE = "–"
"""Stands where there is no number."""
NORMS = {"linf": "L∞", "l2": "L2", "l0": "L0", "latent": "latent"}
OUTCOMES = {
    Outcome.SUCCESS: "fooled",
    Outcome.FAILED: "not fooled",
    Outcome.SKIPPED: "skipped",
    Outcome.ERROR: "error",
    Outcome.UNFINISHED: "unfinished",
}


def eps_text(norm: str, eps: float) -> str:
    """The size of a ball: `8/255`, `1.5`, or `24 places`."""
    if norm == "l0":
        return f"{eps:g} places"
    steps = eps * 255
    whole = norm == "linf" and abs(steps - round(steps)) < 1e-6 and round(steps) > 0
    return f"{round(steps)}/255" if whole else f"{eps:.6g}"


def ball_text(norm: str, eps: float) -> str:
    """The ball: `L∞ ≤ 8/255`."""
    return f"{NORMS.get(norm, norm)} ≤ {eps_text(norm, eps)}"


def threat_text(result: AttackResult) -> str:
    """The threat model in words."""
    goal = "Targeted" if result.targeted else "Untargeted"
    queries = f"{result.budget:,} {'query' if result.budget == 1 else 'queries'}"
    return f"{goal}, {ball_text(result.norm, result.eps)}, at most {queries} for each input"


def titles_of(results: Sequence[AttackResult]) -> list[str]:
    """A short title for each of several results, all different: what distinguishes them."""
    attacks = [result.attack for result in results]
    balls = [ball_text(result.norm, result.eps) for result in results]
    if len(set(attacks)) == 1:
        titles = balls if len(results) > 1 else attacks
    elif len(set(balls)) == 1:
        titles = attacks
    else:
        titles = [f"{attack}, {ball}" for attack, ball in zip(attacks, balls, strict=True)]
    if len(set(titles)) < len(titles):
        titles = [f"{place}. {title}" for place, title in enumerate(titles, 1)]
    return titles


def class_text(classes: Sequence[str], label: int | None) -> str:
    """The name of a class; its number where it has no name."""
    if label is None:
        return NONE
    return classes[label] if 0 <= label < len(classes) else str(label)


def percent(share: float | None) -> str:
    """A share in [0, 1] as percent with one decimal; 100 % and 0 % only if they are exact."""
    if share is None:
        return NONE
    digits = 1
    while digits < 4 and 0 < share < 1 and round(100 * share, digits) in (0.0, 100.0):
        digits += 1
    return f"{100 * share:.{digits}f} %"


def share_text(share: Proportion, *, interval: bool = True) -> str:
    """A share with its 95 % interval: `97.7 % [88.2, 99.6]`."""
    if share.value is None or share.low is None or share.high is None:
        return NONE
    shown = percent(share.value)
    return f"{shown} [{100 * share.low:.1f}, {100 * share.high:.1f}]" if interval else shown


def number(value: float | None, unit: str = "") -> str:
    """A number for people; a dash where there is none."""
    return NONE if value is None else count(value) + unit


def queries_text(value: float | None, budget: int, *, failures: int) -> str:
    """A number of queries over all inputs: `≥ 2,000` where it is that of failures."""
    if value is None:
        return NONE
    return f"≥ {budget:,}" if failures and value >= budget else count(value)
