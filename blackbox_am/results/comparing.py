"""Several studies side by side; those that differ only in their seed are one search."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from blackbox_am.core.spec import StudySpec, to_plain
from blackbox_am.core.types import Best
from blackbox_am.errors import InvalidInput
from blackbox_am.results.result import Result

_APART = ("seed", "labels", "keep_latents")
"""Fields in which studies of one search may differ."""
_NAMED_DIFFERENCES = 3
_NAMED_TARGETS = 3
LEVEL = 0.95


@dataclass(frozen=True)
class Search:
    """Studies that differ only in their seed.

    Attributes:
        name: what distinguishes the search from the others.
        results: the studies.
    """

    name: str
    results: tuple[Result, ...]


@dataclass(frozen=True)
class Line:
    """What one search found for one target.

    Attributes:
        search: name of the search.
        target: the objective as text, with its number (`head:3 #2`) if it occurs several times.
        studies: number of studies, one for each seed, that have a score.
        best_score: mean of their best scores.
        low, high: limits of the 95 % interval of the mean: Student's t over several studies, or,
            for one study, the normal interval of its re-measured score; None without either.
        queries: mean number of measured rows of the target.
        natural_ratio: mean of best score / best natural image; None without a baseline, or if a
            natural maximum is not above 0.
    """

    search: str
    target: str
    studies: int
    best_score: float
    low: float | None
    high: float | None
    queries: float
    natural_ratio: float | None

    def plain(self) -> dict[str, Any]:
        """The line for JSON."""
        return asdict(self)


def searches_of(results: Mapping[str, Result]) -> list[Search]:
    """The studies, those that differ only in their seed together, in the order of their first.

    Args:
        results: the results by a unique name of each.
    """
    found: dict[str, list[str]] = {}
    facts: dict[str, dict[str, str]] = {}
    for name, result in results.items():
        mine = {} if result.spec is None else _facts(result.spec)
        key = repr(sorted(mine.items())) if mine else name
        found.setdefault(key, []).append(name)
        facts[key] = mine
    differing = _differing(list(facts.values()))
    named = _distinct(
        [_name(names, facts[key], differing) for key, names in found.items()],
        [_titles(results[names[0]]) for names in found.values()],
        [names[0] for names in found.values()],
    )
    return [
        Search(name, tuple(results[one] for one in names))
        for name, names in zip(named, found.values(), strict=True)
    ]


def targets_of(searches: Sequence[Search]) -> list[str]:
    """The labels of the targets that all studies have, in the order of the first.

    Raises:
        InvalidInput: if there are none.
    """
    every = _every(searches)
    shared = [label for label in every[0] if all(label in labels for labels in every)]
    if not shared:
        raise InvalidInput(
            f"the studies share no target: one has {', '.join(every[0][:3])}, another has "
            f"{', '.join(next(t for t in every if not set(t) & set(every[0]))[:3])}"
            if any(not set(labels) & set(every[0]) for labels in every)
            else "no target is a target of all studies"
        )
    return shared


def left_out(searches: Sequence[Search]) -> list[str]:
    """The labels of the targets that some studies have, but not all."""
    every = _every(searches)
    labels = dict.fromkeys(label for one in every for label in one)
    return [label for label in labels if not all(label in one for one in every)]


def _every(searches: Sequence[Search]) -> list[list[str]]:
    return [labels_of(result) for search in searches for result in search.results]


def labels_of(result: Result) -> list[str]:
    """The title of each target; `head:3 #2` for the second target with the title `head:3`."""
    seen: Counter[str] = Counter()
    labels = []
    for target in result.progress.targets:
        seen[target.title] += 1
        count = seen[target.title]
        labels.append(target.title if count == 1 else f"{target.title} #{count}")
    return labels


def lines_of(searches: Sequence[Search]) -> Iterator[Line]:
    """What each search found for each shared target, by target.

    Raises:
        InvalidInput: as `targets_of`.
    """
    for target in targets_of(searches):
        for search in searches:
            yield _line(search, target)


def place_of(result: Result, label: str) -> int:
    """The index of the target with this label."""
    return labels_of(result).index(label)


def _line(search: Search, label: str) -> Line:
    best: list[Best] = []
    queries = []
    for result in search.results:
        place = place_of(result, label)
        queries.append(result.progress.targets[place].queries)
        best += [entry for entry in result.best if entry.target == place]
    scores = np.array([entry.score for entry in best], np.float64)
    low, high = _interval(best, scores)
    ratios = [None if entry.natural is None else entry.natural.ratio for entry in best]
    known = [ratio for ratio in ratios if ratio is not None]
    return Line(
        search.name,
        label,
        len(best),
        float(scores.mean()) if len(scores) else math.nan,
        low,
        high,
        float(np.mean(queries)),
        float(np.mean(known)) if known and len(known) == len(ratios) else None,
    )


def _interval(best: Sequence[Best], scores: Any) -> tuple[float | None, float | None]:
    from scipy import stats

    if len(best) > 1:
        error = float(scores.std(ddof=1)) / math.sqrt(len(scores))
        half = error * float(stats.t.ppf((1 + LEVEL) / 2, len(scores) - 1))
    elif best and best[0].recheck and best[0].recheck.best.standard_error is not None:
        half = best[0].recheck.best.standard_error * float(stats.norm.ppf((1 + LEVEL) / 2))
    else:
        return None, None
    return float(scores.mean()) - half, float(scores.mean()) + half


def _facts(spec: StudySpec) -> dict[str, str]:
    """The specification as texts by path, without what studies of one search may differ in."""
    plain = to_plain(spec)
    found: dict[str, str] = {}

    def walk(path: str, value: Any) -> None:
        if isinstance(value, dict):
            for name, part in value.items():
                walk(f"{path}.{name}" if path else str(name), part)
        else:
            found[path] = str(value)

    walk("", {name: value for name, value in plain.items() if name not in _APART})
    return found


def _differing(facts: Sequence[Mapping[str, str]]) -> list[str]:
    """The paths whose values are not the same in all specifications."""
    paths = dict.fromkeys(path for one in facts for path in one)
    return [path for path in paths if len({one.get(path, "") for one in facts}) > 1]


def _name(names: Sequence[str], facts: Mapping[str, str], differing: Sequence[str]) -> str:
    seeds = "" if len(names) == 1 else f" ({len(names)} seeds)"
    named = [path for path in differing if path != "targets"]
    if len(names) == 1 or not 1 <= len(named) <= _NAMED_DIFFERENCES:
        return f"{names[0]}{seeds}"
    return ", ".join(_brief(path, facts.get(path, "not set")) for path in named) + seeds


def _distinct(named: Sequence[str], titles: Sequence[str], first: Sequence[str]) -> list[str]:
    """The names; those that are not unique with the targets of the search, and if these do not
    tell them apart either, with its first study.
    """
    found = list(named)
    for more in (titles, first):
        found = [
            f"{name}, {what}" if len(_said(name, found, more)) > 1 else name
            for name, what in zip(found, more, strict=True)
        ]
    return found


def _said(name: str, names: Sequence[str], texts: Sequence[str]) -> set[str]:
    """The texts of all that have this name."""
    return {text for other, text in zip(names, texts, strict=True) if other == name}


def _titles(result: Result) -> str:
    labels = labels_of(result)
    more = ", ..." if len(labels) > _NAMED_TARGETS else ""
    return ", ".join(labels[:_NAMED_TARGETS]) + more


def _brief(path: str, value: str) -> str:
    """`cma` for the optimizer's name, else `queries_per_target 1000`."""
    parent, _, name = path.rpartition(".")
    return value if name == "name" and parent else f"{name} {value}"
