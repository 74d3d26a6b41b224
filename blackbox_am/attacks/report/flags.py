"""Flags: reasons to doubt the numbers of an attack, as sentences that say what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.attacks.repeating import unequal
from blackbox_am.attacks.report.digests import paired
from blackbox_am.attacks.results import AttackResult, Outcome
from blackbox_am.errors import InvalidInput, ShapeMismatch

ATTACKED = {Outcome.SUCCESS, Outcome.FAILED}
SATURATED = 1e-6
"""A probability this close to 1 hides how far the other classes are behind."""


@dataclass(frozen=True)
class Flag:
    """A reason to doubt the numbers of an attack.

    Attributes:
        kind: one word: `ball`, `range`, `nan`, `unverified`, `misnamed`, `unmeasured`,
            `unchanged`, `masking`, `random`, `constant`, `saturated`, `probabilities`.
        text: what was found, what follows, and what to do.
        severe: whether the numbers must not be used before the reason is removed.
    """

    kind: str
    text: str
    severe: bool = True


def masked_gradients(black: AttackResult, white: AttackResult) -> Flag | None:
    """The flag `masking` if an attack without gradients fools inputs more often than one with.

    An attack that knows the gradients knows more, so it should not lose. Source: A. Athalye, N.
    Carlini and D. Wagner, "Obfuscated gradients give a false sense of security" (2018), section 3.

    Args:
        black: result of an attack without gradients.
        white: result of an attack with gradients, for the same threat model and inputs.

    Raises:
        InvalidInput: if the two have another ball or goal, or no attacked input in common.
    """
    if (black.norm, black.eps, black.targeted) != (white.norm, white.eps, white.targeted):
        raise InvalidInput(
            f"{black.attack} and {white.attack} have different threat models (norm, eps or "
            "targeted); compare attacks with equal ones"
        )
    pairs = [
        (black.inputs[i].outcome, white.inputs[j].outcome)
        for i, j in paired(black.clean, white.clean)
        if {black.inputs[i].outcome, white.inputs[j].outcome} <= ATTACKED
    ]
    if not pairs:
        raise InvalidInput(f"{black.attack} and {white.attack} have no attacked input in common")
    ours, theirs = (
        sum(one is Outcome.SUCCESS for one in side) for side in zip(*pairs, strict=True)
    )
    if ours <= theirs:
        return None
    return Flag(
        "masking",
        f"{black.attack} without gradients fooled the model on {ours} of {len(pairs)} inputs, and "
        f"{white.attack} with gradients on {theirs} only: the model may mask its gradients, which "
        "does not make it robust. Use the lower robust accuracy, and repeat the attack with "
        "gradients with more steps, restarts and another loss.",
    )


def randomised(answers: NDArray[Any]) -> Flag | None:
    """The flag `random` if a model answers the same inputs differently.

    Args:
        answers: (repeats, N, classes) scores or (repeats, N) labels, for the same N clean inputs
            in the same order; 5 repeats are usual. With one class, the numbers are labels. nan is a
            failed answer, which is ignored. Differences of rounding are none.

    Raises:
        ShapeMismatch: for fewer than two repeats, or another number of axes.
    """
    if answers.ndim not in (2, 3) or len(answers) < 2:
        raise ShapeMismatch(
            "answers: expected (repeats, N, classes) or (repeats, N) with two repeats or more, got "
            f"{answers.shape}"
        )
    values = answers.reshape(*answers.shape[:2], -1)
    labels = values[..., 0] if values.shape[2] == 1 else _winners(values)
    spread = unequal(values)
    moved = int((spread > 0).sum())
    if not moved:
        return None
    other = int((unequal(labels[:, :, None]) > 0).sum())
    return Flag(
        "random",
        f"The model does not repeat its answers: {len(answers)} measurements of the clean inputs "
        f"differ on {moved} of {answers.shape[1]} inputs, and give another class on {other}. "
        "Successes and failures may be luck. Switch the random part of the model off if this is "
        "possible; else measure each adversarial input several times, and report the mean.",
        severe=other > 0,
    )


def score_flags(scores: NDArray[Any]) -> tuple[Flag, ...]:
    """The flags `constant`, `saturated` and `probabilities` of the scores of clean inputs.

    Args:
        scores: (N, classes), logits or probabilities; rows with nan are ignored.

    Raises:
        ShapeMismatch: for another number of axes, or fewer than two classes.
    """
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise ShapeMismatch(f"scores: expected (N, 2 or more classes), got {scores.shape}")
    known = scores[np.isfinite(scores).all(1)].astype(np.float64)
    if not len(known):
        return ()
    if len(known) > 1 and (known == known[0]).all():
        return (
            Flag(
                "constant",
                f"All {len(known)} clean inputs have the same scores, so the scores do not guide a "
                "search. Check that the inputs reach the model; if they do, use a decision attack, "
                "which needs labels only.",
            ),
        )
    if not _are_probabilities(known):
        return ()
    full = int((known.max(1) >= 1 - SATURATED).sum())
    if 2 * full >= len(known):
        return (
            Flag(
                "saturated",
                f"{full} of {len(known)} clean inputs have a class of probability 1 within "
                f"{SATURATED:g}. Such scores hardly change near an input, so they do not guide a "
                "search, and a failure does not show that the model is robust. Use a decision "
                "attack, which needs labels only, or ask for logits.",
            ),
        )
    return (
        Flag(
            "probabilities",
            "The scores of every clean input are in [0, 1] and sum to 1: they are probabilities, "
            "not logits. Differences of probabilities are flat where the model is certain. Ask for "
            "logits, or compare the logarithms of the probabilities.",
            severe=False,
        ),
    )


def _are_probabilities(scores: NDArray[np.float64]) -> bool:
    inside = bool((scores >= 0).all() and (scores <= 1).all())
    return inside and bool(np.allclose(scores.sum(1), 1, atol=1e-3))


def _winners(scores: NDArray[Any]) -> NDArray[np.float64]:
    """(repeats, N) the classes with the highest scores (repeats, N, classes), or nan."""
    known = np.isfinite(scores).all(-1)
    found: NDArray[np.float64] = np.where(
        known, np.where(np.isnan(scores), 0, scores).argmax(-1), np.nan
    )
    return found
