"""An attack from its inputs to its result, whoever runs its studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from blackbox_am.attacks import planning
from blackbox_am.attacks.answers import Answers, scale_of
from blackbox_am.attacks.assembling import Attacked, assembled
from blackbox_am.attacks.combining import combined
from blackbox_am.attacks.inputs import Given
from blackbox_am.attacks.labels import Goals
from blackbox_am.attacks.planning import Classes, Inputs
from blackbox_am.attacks.problem import Problem, chosen, method_of
from blackbox_am.attacks.results import AttackResult, Outcome, float_stimuli
from blackbox_am.attacks.running import Found, Runner
from blackbox_am.core.spec import ArrayData, StartSpec, StudySpec
from blackbox_am.errors import InvalidInput


class Suggest(Protocol):
    """Suggests changes at which a search begins, such as those that fool another model."""

    def __call__(
        self, problem: Problem, stimuli: NDArray[Any], labels: Sequence[int]
    ) -> NDArray[np.float32]:
        """(K, D) changes in units of the problem's ball.

        Args:
            problem: the attack.
            stimuli: (K, *input) the clean inputs.
            labels: the K classes that must lose, or win if the attack is targeted.
        """


@dataclass(frozen=True)
class Run:
    """What is to be attacked, and how.

    Attributes:
        given: the inputs.
        goals: their labels, and the classes that a targeted attack wants.
        classes: where the model tells its classes.
        inputs: how studies name the inputs and the model.
        suggest: suggests where the search begins; None for the attack's own start.
    """

    given: Given
    goals: Goals
    classes: Classes
    inputs: Inputs
    suggest: Suggest | None = None


def run(problems: Sequence[Problem], what: Run, runner: Runner) -> AttackResult:
    """Attacks every input that the model classifies correctly.

    Args:
        problems: what the attack may do. Of several problems, each after the first attacks the
            inputs that those before it have left.
        what: inputs and model.
        runner: runs the studies.

    Raises:
        InvalidInput, Unsupported: for an attack that cannot work.
        OracleError: if the model fails.
    """
    results: list[AttackResult] = []
    among: list[int] | None = None
    for number, problem in enumerate(problems):
        results.append(_attacked(problem, what, Numbered(runner, number), among))
        among = [one.index for one in results[-1].of(Outcome.FAILED)]
        if not among or not results[-1].complete:
            break
    return results[0] if len(results) == 1 else combined(results)


def _attacked(
    problem: Problem, what: Run, runner: Runner, among: Sequence[int] | None
) -> AttackResult:
    """The result of one attack on the inputs at positions `among`; on all if None."""
    classes, inputs = what.classes, what.inputs
    clean = runner.run("clean", planning.clean_spec(problem, classes, inputs))
    answers = Answers.of(clean.best, inputs.count, len(classes.quantities))
    attack = chosen(problem, labels_only=answers.labels_only, oracle=inputs.oracle)
    problem = replace(problem, attack=attack)
    classes = replace(classes, scale=scale_of(answers))
    labels, wanted = what.goals.resolved(answers, classes)
    rows = _attackable(answers, labels, wanted)
    if among is not None:
        rows = np.intersect1d(rows, among)
    searched = verified = None
    if len(rows) and clean.ended:
        decided = (labels if wanted is None else wanted)[rows].tolist()
        start = _start(problem, what, answers, rows, decided)
        spec = planning.search_spec(problem, classes, inputs, rows.tolist(), decided, start)
        searched = runner.run("search", spec)
        verified = _verified(problem, classes, inputs, rows, searched, runner)
    own_labels = what.goals.labels is None
    attacked = Attacked(
        problem, what.given, classes, inputs, answers, labels, wanted, rows, own_labels, among
    )
    return assembled(attacked, clean, searched, verified)


@dataclass(frozen=True)
class Numbered:
    """A runner for one of several attacks, which share the study of the clean inputs.

    Attributes:
        runner: runs the studies.
        number: of the attack, from 0.
    """

    runner: Runner
    number: int

    def run(self, name: str, spec: StudySpec) -> Found:
        """See `Runner.run`."""
        return self.runner.run(self._name(name), spec)

    def start_at(self, name: str) -> StartSpec:
        """See `Runner.start_at`."""
        return self.runner.start_at(self._name(name))

    def _name(self, name: str) -> str:
        return name if name == "clean" or not self.number else f"{name}-{self.number + 1}"


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
    what: Run,
    answers: Answers,
    rows: NDArray[np.int64],
    decided: Sequence[int],
) -> StartSpec | None:
    """Where the search begins; None for the attack's own start.

    Raises:
        InvalidInput: if an attack that knows only labels has no input of a wanted class to begin
            at, or if the attack cannot begin at suggested changes.
    """
    latents = method_of(problem.attack).latents
    if what.suggest is None:
        if latents == "range" and problem.targeted:
            return _from_inputs(problem, what.given, answers, rows, decided)
        return None
    if latents != "ball":
        raise InvalidInput(
            f"surrogate: {problem.attack} does not begin at changes within the ball; use square or "
            "another attack that does",
            field="surrogate",
        )
    changes = what.suggest(problem, float_stimuli(what.given.stimuli[rows]), decided)
    return StartSpec(latents=ArrayData.of(changes.reshape(len(rows), -1)))


def _from_inputs(
    problem: Problem,
    given: Given,
    answers: Answers,
    rows: NDArray[np.int64],
    wanted: Sequence[int],
) -> StartSpec:
    """For each attacked input the closest clean input of its wanted class.

    An attack that knows only labels comes closer from there.
    """
    stimuli = float_stimuli(given.stimuli)
    starts = np.empty((len(rows), *stimuli.shape[1:]), np.float32)
    for place, (row, goal) in enumerate(zip(rows, wanted, strict=True)):
        of_class = np.flatnonzero(answers.known & (answers.labels == goal))
        if not len(of_class):
            raise InvalidInput(
                f"targets: {problem.attack} knows only labels and begins at an input of the wanted "
                f"class, and there is no input of class {goal}, the wanted class of "
                f"{given.names[row]}; add one to the inputs",
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
