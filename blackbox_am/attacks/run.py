"""An attack from its inputs to its result, whoever runs its studies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from blackbox_am.attacks import planning
from blackbox_am.attacks.answers import Answers, scale_of
from blackbox_am.attacks.assembling import Attacked, assembled
from blackbox_am.attacks.inputs import Given
from blackbox_am.attacks.labels import Goals
from blackbox_am.attacks.planning import Classes, Inputs
from blackbox_am.attacks.problem import Problem, chosen, method_of
from blackbox_am.attacks.results import AttackResult, float_stimuli
from blackbox_am.attacks.running import Found, Runner
from blackbox_am.core.spec import ArrayData, StartSpec
from blackbox_am.errors import InvalidInput


def run(
    problem: Problem, given: Given, goals: Goals, classes: Classes, inputs: Inputs, runner: Runner
) -> AttackResult:
    """Attacks every input that the model classifies correctly.

    Args:
        problem: what the attack may do.
        given: the inputs.
        goals: their labels, and the classes that a targeted attack wants.
        classes: where the model tells its classes.
        inputs: how studies name the inputs and the model.
        runner: runs the studies.

    Raises:
        InvalidInput, Unsupported: for an attack that cannot work.
        OracleError: if the model fails.
    """
    clean = runner.run("clean", planning.clean_spec(problem, classes, inputs))
    answers = Answers.of(clean.best, inputs.count, len(classes.quantities))
    attack = chosen(problem, labels_only=answers.labels_only, oracle=inputs.oracle)
    problem = replace(problem, attack=attack)
    classes = replace(classes, scale=scale_of(answers))
    labels, wanted = goals.resolved(answers, classes)
    rows = _attackable(answers, labels, wanted)
    searched = verified = None
    if len(rows) and clean.ended:
        decided = labels if wanted is None else wanted
        spec = planning.search_spec(
            problem,
            classes,
            inputs,
            rows.tolist(),
            decided[rows].tolist(),
            _start(problem, given, answers, rows, wanted),
        )
        searched = runner.run("search", spec)
        verified = _verified(problem, classes, inputs, rows, searched, runner)
    own_labels = goals.labels is None
    attacked = Attacked(problem, given, classes, inputs, answers, labels, wanted, rows, own_labels)
    return assembled(attacked, clean, searched, verified)


def _attackable(
    answers: Answers, labels: NDArray[np.int64], wanted: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """Positions of the inputs that are classified correctly (and not as the wanted class)."""
    right = answers.known & (answers.labels == labels)
    if wanted is not None:
        right &= answers.labels != wanted
    return np.flatnonzero(right)


def _start(
    problem: Problem,
    given: Given,
    answers: Answers,
    rows: NDArray[np.int64],
    wanted: NDArray[np.int64] | None,
) -> StartSpec | None:
    """Where the search begins; None for the attack's own start.

    An attack that knows only labels comes closer from an input that the model answers with the
    wanted class. The clean inputs have one: the closest.

    Raises:
        InvalidInput: if no clean input is answered with a wanted class.
    """
    if wanted is None or method_of(problem.attack).latents != "range":
        return None
    stimuli = float_stimuli(given.stimuli)
    starts = np.empty((len(rows), *stimuli.shape[1:]), np.float32)
    for place, row in enumerate(rows):
        of_class = np.flatnonzero(answers.known & (answers.labels == wanted[row]))
        if not len(of_class):
            raise InvalidInput(
                f"targets: {problem.attack} knows only labels and begins at an input of the wanted "
                f"class, and there is no input of class {wanted[row]}, the wanted class "
                f"of {given.names[row]}; add one to the inputs",
                field="targets",
            )
        changes = stimuli[of_class] - stimuli[row]
        sizes = np.square(changes.reshape(len(changes), -1)).sum(axis=1)
        starts[place] = changes[sizes.argmin()]
    return StartSpec(latents=ArrayData.of(starts.reshape(len(rows), -1)))


def _verified(
    problem: Problem,
    classes: Classes,
    inputs: Inputs,
    rows: NDArray[np.int64],
    searched: Found,
    runner: Runner,
) -> Found | None:
    """Measures afresh what the search found; None if it found nothing yet."""
    if not searched.ended or not searched.best:
        return None
    if len(searched.best) == len(rows):
        measured, start = rows, runner.start_at("search")
    else:
        measured = rows[[best.target for best in searched.best]]
        latents = np.stack([best.latent for best in searched.best]).astype(np.float32)
        start = StartSpec(latents=ArrayData.of(latents))
    spec = planning.verify_spec(problem, classes, inputs, measured.tolist(), start)
    return runner.run("verify", spec)
