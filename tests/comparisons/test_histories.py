"""Rows and best scores from the scores of generations."""

import numpy as np

from blackbox_am.comparisons.histories import curve
from blackbox_am.core.types import GenerationScores

NAN = float("nan")


def history(*scores, targets=(0,)):
    return [
        GenerationScores(number, targets, np.array(rows, np.float64), 0.1)
        for number, rows in enumerate(scores)
    ]


def test_the_best_never_falls():
    rows, best = curve(history([[1.0, 3.0]], [[2.0, 0.0]], [[5.0]]), 0, 5)
    assert rows.tolist() == [2, 4, 5]
    assert best.tolist() == [3, 3, 5]


def test_failed_rows_count_and_masked_rows_do_not():
    scores = history([[NAN, NAN]], [[NAN, 2.0]], [[NAN, NAN]])
    rows, best = curve(scores, 0, 4)
    assert rows.tolist() == [2, 4, 4]
    assert np.isnan(best[0])
    assert best[1:].tolist() == [2, 2]
    assert curve(scores, 0, 1)[0].tolist() == [0, 1, 1]


def test_a_target_that_dropped_out():
    first = history([[1.0], [4.0]], targets=(0, 2))
    then = history([[6.0]], targets=(2,))
    assert curve(first + then, 0, 1)[0].tolist() == [1]
    rows, best = curve(first + then, 2, 2)
    assert (rows.tolist(), best.tolist()) == ([1, 2], [4, 6])
    assert curve([], 0, 0)[0].size == 0
