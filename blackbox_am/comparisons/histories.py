"""The best score of a target against the rows that were measured for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blackbox_am.core.types import FloatArray, GenerationScores


def curve(
    history: Sequence[GenerationScores], target: int, queries: int
) -> tuple[FloatArray, FloatArray]:
    """The rows of one target that were measured up to each generation, and the best score so far.

    A row without a score has failed or was not wanted by the optimizer. Of these rows, as many as
    `queries` says were measured, the earliest first.

    Args:
        history: of the study.
        target: its position.
        queries: rows of this target that were measured in all.

    Returns:
        Two arrays (G,): rows, and scores, nan before the first score.
    """
    scores = [one.scores[one.targets.index(target)] for one in history if target in one.targets]
    known = np.array([np.isfinite(row).sum() for row in scores], np.int64)
    failed = np.array([len(row) for row in scores], np.int64) - known
    missing = max(queries - int(known.sum()), 0)
    counted = np.diff(np.minimum(np.cumsum(failed), missing), prepend=0)
    tops = [row[np.isfinite(row)].max(initial=-np.inf) for row in scores]
    best = np.maximum.accumulate(np.array(tops, np.float64)) if tops else np.empty(0)
    return (
        np.cumsum(known + counted).astype(np.float64),
        np.where(np.isfinite(best), best, np.nan),
    )


def stands_still(history: Sequence[GenerationScores], target: int) -> bool:
    """Whether every generation of a target has the scores of its first one, in two generations or
    more: an ascent whose gradients are all zero, or not finite, measures the same points again.
    """
    scores = [one.scores[one.targets.index(target)] for one in history if target in one.targets]
    whole = [row for row in scores if len(row) == len(scores[0])]
    return len(whole) > 1 and all(np.array_equal(row, whole[0], equal_nan=True) for row in whole)
