"""Statistics of an attack: accuracy, rate of success, and queries."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from blackbox_am.attacks.report.digests import input_digests, numbered
from blackbox_am.attacks.results import AttackedInput, AttackResult, Outcome

Z95 = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


@dataclass(frozen=True)
class Proportion:
    """A share k / n with its 95 % interval.

    The interval is Wilson's score interval: E. B. Wilson, "Probable inference, the law of
    succession, and statistical inference" (1927). Unlike the normal approximation it lies in
    [0, 1] and is not empty for k = 0 or k = n.

    Attributes:
        count, of: k and n.
        value: k / n; None for n = 0, as are the limits.
        low, high: limits of the interval.
    """

    count: int
    of: int
    value: float | None
    low: float | None
    high: float | None


def proportion(count: int, of: int) -> Proportion:
    """`count` of `of`, with Wilson's 95 % interval."""
    if of == 0:
        return Proportion(0, 0, None, None, None)
    share, spread = count / of, Z95**2 / of
    middle = (share + spread / 2) / (1 + spread)
    half = Z95 / (1 + spread) * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    # For k = 0 and k = n one limit is exact, but not in floating-point numbers.
    low = 0.0 if count == 0 else middle - half
    high = 1.0 if count == of else middle + half
    return Proportion(count, of, share, low, high)


@dataclass(frozen=True)
class Queries:
    """Queries of several inputs; all None without an input.

    Attributes:
        count: number of inputs.
        mean, median: of their queries.
        p90: the 90 % quantile, with linear interpolation.
    """

    count: int
    mean: float | None
    median: float | None
    p90: float | None


def queries_of(queries: Sequence[int]) -> Queries:
    """The statistics of some numbers of queries."""
    if not queries:
        return Queries(0, None, None, None)
    median, p90 = np.quantile(np.asarray(queries, np.float64), [0.5, 0.9])
    return Queries(len(queries), float(np.mean(queries)), float(median), float(p90))


@dataclass(frozen=True)
class Statistics:
    """The numbers of an attack.

    Attributes:
        total: number of inputs.
        correct: inputs whose clean version gets the given label; None if no labels were given.
        skipped, success, failed, error, unfinished: inputs of each outcome.
        verified: successes that fooled the model again when they were measured afresh.
        unverified: inputs that the search saw fooled and that did not fool the model when they
            were measured afresh, whatever their outcome.
        clean_accuracy: correct inputs among those whose label and clean answer are known.
        robust_accuracy: inputs that are classified correctly and that the attack did not fool,
            among the inputs that were skipped or attacked to their end.
        success_rate: successes among the inputs that were attacked to their end.
        queries_of_successes: queries of the successes alone. Attacks that fail on hard inputs
            look better in these numbers.
        queries_of_attacked: queries of all inputs that were attacked to their end; a failure
            counts as the whole budget.
        search_rows: queries of the search for all inputs.
        padding_rows: rows that filled short batches, which change no answer; 0 for a model whose
            rows have a price.
        rows, calls: what the oracle received, for all purposes.
        rows_per_call: their ratio; None without a call.
    """

    total: int
    correct: int | None
    skipped: int
    success: int
    failed: int
    error: int
    unfinished: int
    verified: int
    unverified: int
    clean_accuracy: Proportion
    robust_accuracy: Proportion
    success_rate: Proportion
    queries_of_successes: Queries
    queries_of_attacked: Queries
    search_rows: int
    padding_rows: int
    rows: int
    calls: int
    rows_per_call: float | None


def statistics(result: AttackResult) -> Statistics:
    """The numbers of `result`."""
    counts = {outcome: len(result.of(outcome)) for outcome in Outcome}
    success, failed = counts[Outcome.SUCCESS], counts[Outcome.FAILED]
    labelled = [] if result.own_labels else [one for one in result.inputs if _known(one)]
    correct = sum(one.label == one.clean_label for one in labelled)
    robust = sum(not _is_wrong(one) for one in result.of(Outcome.FAILED))
    verified = [one.verified for one in result.of(Outcome.SUCCESS)]
    unverified = sum(one.verified is False for one in result.inputs)
    spent, calls = result.spent, result.spent.calls
    searched = sum(one.queries for one in result.inputs)
    measured = searched + spent.rows_apart + spent.retried_rows - spent.cache_hits
    return Statistics(
        total=len(result.inputs),
        correct=correct if labelled else None,
        skipped=counts[Outcome.SKIPPED],
        success=success,
        failed=failed,
        error=counts[Outcome.ERROR],
        unfinished=counts[Outcome.UNFINISHED],
        verified=verified.count(True),
        unverified=unverified,
        clean_accuracy=proportion(correct, len(labelled)),
        robust_accuracy=proportion(robust, success + failed + counts[Outcome.SKIPPED]),
        success_rate=proportion(success, success + failed),
        queries_of_successes=queries_of([one.queries for one in result.of(Outcome.SUCCESS)]),
        queries_of_attacked=queries_of(list(censored(result.attacked, result.budget))),
        search_rows=searched,
        padding_rows=max(spent.rows - measured, 0),
        rows=result.spent.rows,
        calls=calls,
        rows_per_call=result.spent.rows / calls if calls else None,
    )


def robust_to_all(results: Sequence[AttackResult]) -> Proportion:
    """Robust accuracy against several attacks together: an input is lost if any of them fooled it.

    Inputs are identified by their content, so attacks on the survivors of others count correctly.

    Args:
        results: results of one threat model, for inputs of one set.
    """
    robust: dict[tuple[str, int], bool] = {}
    for result in results:
        for one, key in zip(result.inputs, numbered(input_digests(result.clean)), strict=True):
            if one.outcome in (Outcome.SUCCESS, Outcome.FAILED, Outcome.SKIPPED):
                kept = one.outcome is Outcome.FAILED and not _is_wrong(one)
                robust[key] = robust.get(key, True) and kept
    return proportion(sum(robust.values()), len(robust))


def censored(inputs: Iterable[AttackedInput], budget: int) -> Iterable[int]:
    """The queries of each input; a failure counts as the whole budget."""
    return (one.queries if one.outcome is Outcome.SUCCESS else budget for one in inputs)


def _is_wrong(one: AttackedInput) -> bool:
    return _known(one) and one.label != one.clean_label


def _known(one: AttackedInput) -> bool:
    return one.label is not None and one.clean_label is not None
