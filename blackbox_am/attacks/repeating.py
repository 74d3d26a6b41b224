"""Whether a model repeats its answers to the clean inputs of an attack."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from blackbox_am.attacks import planning
from blackbox_am.attacks.answers import Answers
from blackbox_am.attacks.planning import Classes, Inputs
from blackbox_am.attacks.problem import Problem
from blackbox_am.attacks.results import AttackResult
from blackbox_am.attacks.running import Runner
from blackbox_am.core.repeating import TOLERANCE
from blackbox_am.core.types import Accounting

REPEATED_INPUTS = 16
"""Largest number of clean inputs that are measured several times."""


@dataclass(frozen=True)
class Repeated:
    """Several measurements of the same clean inputs.

    Attributes:
        answers: (repeats, N, quantities) float64 scores, or numbers of predicted classes.
        spent: account of the oracle's calls. All rows count as a test of repeatability.
        complete: whether all rows were measured.
        message: why not; empty if they were.
    """

    answers: NDArray[np.float64]
    spent: Accounting
    complete: bool
    message: str = ""


def measured_again(
    repeats: int,
    problem: Problem,
    classes: Classes,
    inputs: Inputs,
    clean: Answers,
    runner: Runner,
    stimuli: NDArray[np.generic],
) -> Repeated | None:
    """Measures clean inputs until each has `repeats` answers, that of the clean study included.

    Source of the idea: the check for randomised models of F. Croce and M. Hein's AutoAttack (2020),
    which measures the first batch five times.

    Args:
        repeats: number of answers; with 1 nothing is measured.
        problem: for bits and seed.
        classes: where the model tells its classes.
        inputs: all inputs.
        clean: the model's first answers. The first `REPEATED_INPUTS` inputs that have one are
            measured again.
        runner: runs the study.
        stimuli: (N, *input) all inputs, as they were kept.

    Returns:
        None if there is nothing to measure.
    """
    rows = np.flatnonzero(clean.known)[:REPEATED_INPUTS]
    if repeats < 2 or not len(rows):
        return None
    again = np.tile(rows, repeats - 1)
    spec = planning.measuring_spec(problem, classes, inputs, "clean", again.tolist())
    found = runner.run(f"repeat-{repeats}", spec, stimuli)
    answers = Answers.of(found.best, len(again), len(classes.quantities)).scores
    shaped = answers.reshape(repeats - 1, len(rows), -1)
    spent = found.progress.spent
    spent = replace(spent, clean_rows=0, probe_rows=spent.probe_rows + spent.clean_rows)
    both = np.concatenate([clean.scores[None, rows], shaped])
    return Repeated(both, spent, found.ended, "" if found.ended else found.progress.message)


def with_repeats(result: AttackResult, repeated: Repeated, *, pays: bool) -> AttackResult:
    """`result` with the repeated answers; with their account if it `pays`."""
    repeats, inputs = repeated.answers.shape[:2]
    moved = int((unequal(repeated.answers) > 0).sum())
    text = f"{repeats} measurements of {inputs} clean inputs differ on {moved}"
    cached = repeated.spent.cache_hits
    if cached:
        text = f"not tested: a cache gave {cached} of the repeated answers, and asked no model"
    warnings = [*result.warnings, repeated.message] if repeated.message else result.warnings
    return replace(
        result,
        repeated=repeated.answers,
        identity={**result.identity, "repeatability": text},
        spent=result.spent + repeated.spent if pays else result.spent,
        warnings=tuple(dict.fromkeys(warnings)),
        complete=result.complete and repeated.complete,
    )


def unequal(answers: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) largest difference between the repeats of an input's answer; 0 where they differ by no
    more than rounding does, which depends on the place of a row in its batch. nan is ignored.

    Args:
        answers: (repeats, N, values).
    """
    values = answers.astype(np.float64)
    low, high = np.fmin.reduce(values), np.fmax.reduce(values)
    largest = np.fmax.reduce(np.abs(values)).max(axis=1, keepdims=True, initial=0.0)
    difference = np.nan_to_num(high - low)
    found: NDArray[np.float64] = np.where(
        difference > TOLERANCE * np.nan_to_num(largest), difference, 0.0
    ).max(axis=1)
    return found
