"""Flags for planted reasons to doubt an attack."""

from __future__ import annotations

import numpy as np
import pytest

from blackbox_am.attacks.report.flags import masked_gradients, randomised, score_flags
from blackbox_am.attacks.results import Outcome
from blackbox_am.errors import InvalidInput, ShapeMismatch
from blackbox_am.testing.attack_results import attack_result

SCORES = np.random.default_rng(0).normal(size=(20, 4))
PROBABILITIES = np.exp(SCORES) / np.exp(SCORES).sum(1, keepdims=True)


def test_a_black_box_that_beats_a_white_box_is_flagged() -> None:
    black = attack_result([3, 4, None, Outcome.SKIPPED])
    white = attack_result([3, None, None, Outcome.SKIPPED], attack="pgd")
    flag = masked_gradients(black, white)
    assert flag is not None
    assert "on 2 of 3 inputs" in flag.text
    assert "on 1 only" in flag.text
    assert masked_gradients(white, black) is None
    assert masked_gradients(black, black) is None


def test_masking_needs_equal_threats_and_common_inputs() -> None:
    black = attack_result([3])
    with pytest.raises(InvalidInput, match="threat"):
        masked_gradients(black, attack_result([3], eps=4 / 255))
    with pytest.raises(InvalidInput, match="no attacked input in common"):
        masked_gradients(black, attack_result([3], data_seed=1))


def test_a_model_that_repeats_itself_is_not_flagged() -> None:
    assert randomised(np.stack([SCORES] * 5)) is None
    failed = np.stack([SCORES] * 5)
    failed[2, 3] = np.nan
    assert randomised(failed) is None


def test_a_random_model_is_flagged_with_the_number_of_other_classes() -> None:
    answers = np.stack([SCORES] * 5)
    answers[4, 7] += 1e-3
    small = randomised(answers)
    assert small is not None
    assert not small.severe
    assert "on 1 of 20 inputs, and give another class on 0" in small.text
    answers[3, 2] = -answers[3, 2]
    large = randomised(answers)
    assert large is not None
    assert large.severe
    assert "on 2 of 20 inputs, and give another class on 1" in large.text


def test_labels_alone_show_a_random_model() -> None:
    labels = np.zeros((5, 6), np.int64)
    assert randomised(labels) is None
    labels[1, 2] = 3
    flag = randomised(labels)
    assert flag is not None
    assert "on 1 of 6 inputs" in flag.text
    with pytest.raises(ShapeMismatch, match="two repeats"):
        randomised(labels[:1])


def test_logits_have_no_flag() -> None:
    assert score_flags(SCORES) == ()


@pytest.mark.parametrize(
    ("scores", "kind"),
    [
        (PROBABILITIES, "probabilities"),
        (np.eye(4)[np.arange(20) % 4], "saturated"),
        (np.repeat(SCORES[:1], 20, 0), "constant"),
    ],
)
def test_scores_that_mislead_a_search_are_flagged(scores: np.ndarray, kind: str) -> None:
    (flag,) = score_flags(scores)
    assert flag.kind == kind
    if kind != "probabilities":
        assert "decision attack" in flag.text


def test_failed_rows_do_not_hide_a_flag() -> None:
    scores = PROBABILITIES.copy()
    scores[3] = np.nan
    assert [flag.kind for flag in score_flags(scores)] == ["probabilities"]
    assert score_flags(np.full((3, 4), np.nan)) == ()
    with pytest.raises(ShapeMismatch):
        score_flags(SCORES[:, :1])
