"""An attack from its inputs to its result, whoever runs its studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from blackbox_am.attacks import planning
from blackbox_am.attacks.answers import Answers, scale_of
from blackbox_am.attacks.asked import REPEATS
from blackbox_am.attacks.assembling import Again, Attacked, as_stored, assembled
from blackbox_am.attacks.combining import combined
from blackbox_am.attacks.inputs import Given
from blackbox_am.attacks.labels import Goals
from blackbox_am.attacks.planning import Classes, Inputs
from blackbox_am.attacks.problem import Problem, chosen, method_of
from blackbox_am.attacks.repeating import measured_again, with_repeats
from blackbox_am.attacks.results import AttackResult, Outcome, float_stimuli
from blackbox_am.attacks.running import Found, Runner
from blackbox_am.attacks.stages import Stage, stages_of, start_of
from blackbox_am.core.spec import ArrayData, StartSpec, StudySpec
from blackbox_am.core.tensors import checksum
from blackbox_am.core.types import StopReason
from blackbox_am.errors import InvalidInput

SUGGESTED_BY = "suggested-by"
"""The label of a search with the identity of what has suggested its start."""


class Suggest(Protocol):
    """Suggests changes at which a search begins, such as those that fool another model."""

    @property
    def identity(self) -> str:
        """What suggests: the digest of the other model."""

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
        before: results of attacks that share the studies of clean inputs with this one. What one
            of them has in its account, this one does not count again.
        repeats: how often some clean inputs are measured, to test whether the model repeats its
            answers; 1 for no test.
    """

    given: Given
    goals: Goals
    classes: Classes
    inputs: Inputs
    suggest: Suggest | None = None
    before: Sequence[AttackResult] = ()
    repeats: int = REPEATS

    @property
    def pays_clean(self) -> bool:
        """Whether the result has the account of the clean inputs."""
        return not self.before

    @property
    def pays_repeats(self) -> bool:
        """Whether the result has the account of the repeated measurements. An attack that was not
        complete has made none.
        """
        return all(result.repeated is None for result in self.before)


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
    what.goals.check()
    for problem in problems:
        if what.suggest is not None and problem.attack != "auto":
            _check_start(problem)
    stages = [stage for problem in problems for stage in stages_of(problem, what.inputs)]
    spec = planning.measuring_spec(problems[0], what.classes, what.inputs, "clean")
    clean = runner.run("clean", spec, what.given.stimuli)
    results: list[AttackResult] = []
    among: list[int] | None = None
    latents: dict[int, NDArray[np.generic]] = {}
    for number, stage in enumerate(stages):
        before = (among, latents)
        result, latents = _attacked(stage, what, clean, Numbered(runner, number), before)
        results.append(result)
        among = [one.index for one in result.of(Outcome.FAILED)]
        if not among or not results[-1].complete:
            break
    result = results[0] if len(results) == 1 else combined(results)
    return _tested(result, problems[0], what, clean, runner)


def _tested(
    result: AttackResult, problem: Problem, what: Run, clean: Found, runner: Runner
) -> AttackResult:
    """`result` after the test whether the model repeats its answers. The test comes last, so that
    a quota is spent on the attack first.
    """
    if not result.complete:
        return result
    answers = Answers.of(clean.best, what.inputs.count, len(what.classes.quantities))
    repeated = measured_again(
        what.repeats, problem, what.classes, what.inputs, answers, runner, what.given.stimuli
    )
    return result if repeated is None else with_repeats(result, repeated, pays=what.pays_repeats)


def _attacked(
    stage: Stage,
    what: Run,
    clean: Found,
    runner: Runner,
    before: tuple[Sequence[int] | None, Mapping[int, NDArray[np.generic]]],
) -> tuple[AttackResult, dict[int, NDArray[np.generic]]]:
    """The result of one attack, or of a part of it, and its best latents by position.

    Args:
        stage: the attack.
        what: inputs and model.
        clean: the study of the clean inputs.
        runner: runs the studies.
        before: positions of the inputs that those before have left (None for all inputs), and the
            best latents of the part before.
    """
    classes, inputs, problem = what.classes, what.inputs, stage.problem
    among, latents = before
    answers = Answers.of(clean.best, inputs.count, len(classes.quantities))
    answers.check(inputs.oracle)
    attack = chosen(problem, labels_only=answers.labels_only, oracle=inputs.oracle)
    problem = replace(problem, attack=attack)
    classes = replace(classes, scale=scale_of(answers))
    labels, wanted = what.goals.resolved(answers, classes)
    rows = _attackable(answers, labels, wanted)
    if among is not None:
        rows = np.intersect1d(rows, among)
    searched, again = None, Again.nothing(what.given)
    if len(rows) and clean.ended:
        decided = (labels if wanted is None else wanted)[rows].tolist()
        start = start_of(stage, inputs, rows.tolist(), latents) or _start(
            problem, what, answers, rows, decided, runner.known("search")
        )
        spec = planning.search_spec(problem, classes, inputs, rows.tolist(), decided, start)
        if what.suggest is not None:
            spec = msgspec.structs.replace(spec, labels={SUGGESTED_BY: what.suggest.identity})
        searched = runner.run("search", spec, what.given.stimuli)
        again = _measured_again(problem, what, classes, rows, searched, runner)
        problem = replace(problem, parameters=spec.optimizer.parameters)
        latents = {int(rows[best.target]): best.latent for best in searched.best}
    own_labels = what.goals.labels is None
    attacked = Attacked(
        problem,
        what.given,
        classes,
        inputs,
        answers,
        labels,
        wanted,
        rows,
        own_labels,
        pays_clean=what.pays_clean and among is None,
    )
    return assembled(attacked, clean, searched, again), dict(latents)


@dataclass(frozen=True)
class Numbered:
    """A runner for one of several attacks, whose studies have its number in their names.

    Attributes:
        runner: runs the studies.
        number: of the attack, from 0.
    """

    runner: Runner
    number: int

    def keep(self, stimuli: NDArray[Any]) -> str:
        """See `Runner.keep`."""
        return self.runner.keep(stimuli)

    def known(self, name: str) -> StudySpec | None:
        """See `Runner.known`."""
        return self.runner.known(self._numbered(name))

    def run(self, name: str, spec: StudySpec, stimuli: NDArray[Any]) -> Found:
        """See `Runner.run`."""
        return self.runner.run(self._numbered(name), spec, stimuli)

    def _numbered(self, name: str) -> str:
        return f"{name}-{self.number + 1}" if self.number else name


def _attackable(
    answers: Answers, labels: NDArray[np.int64], wanted: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """Positions of the inputs that are classified correctly (and not as the wanted class)."""
    right = answers.known & (answers.labels == labels)
    if wanted is not None:
        right &= (answers.labels != wanted) & (labels != wanted)
    return np.flatnonzero(right)


def _start(
    problem: Problem,
    what: Run,
    answers: Answers,
    rows: NDArray[np.int64],
    decided: Sequence[int],
    known: StudySpec | None,
) -> StartSpec | None:
    """Where the search begins; None for the attack's own start.

    Suggestions that an earlier call has journalled with its search, `known`, are not made again:
    gradients on another machine or device would differ in their last bits.

    Raises:
        InvalidInput: if an attack that knows only labels has no input of a wanted class to begin
            at, or if the attack cannot begin at suggested changes.
    """
    if what.suggest is None:
        if method_of(problem.attack).latents == "range" and problem.targeted:
            return _from_inputs(problem, what.given, answers, rows, decided)
        return None
    _check_start(problem)
    if known is not None and known.labels.get(SUGGESTED_BY) == what.suggest.identity:
        return known.start
    changes = what.suggest(problem, float_stimuli(what.given.stimuli[rows]), decided)
    return StartSpec(latents=ArrayData.of(changes.reshape(len(rows), -1)))


def _check_start(problem: Problem) -> None:
    """Check that the attack can begin at suggested changes.

    Raises:
        InvalidInput: if it cannot.
    """
    if method_of(problem.attack).latents != "ball":
        raise InvalidInput(
            f"surrogate: {problem.attack} does not begin at changes within the ball; use square or "
            "another attack that does",
            field="surrogate",
        )


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


def _measured_again(
    problem: Problem,
    what: Run,
    classes: Classes,
    rows: NDArray[np.int64],
    searched: Found,
    runner: Runner,
) -> Again:
    """The adversarial inputs as they are stored, and the model's fresh answers to them.

    A failure of an attack that comes closer from outside the ball has no input in the ball; the
    clean input is stored for it.
    """
    stored, changed = what.given.stimuli.copy(), []
    for best in searched.best:
        row = int(rows[best.target])
        success = searched.progress.targets[best.target].stop_reason is StopReason.SUCCESS
        if success or method_of(problem.attack).latents != "range":
            stored[row] = as_stored(stored.dtype, best.stimulus)
            changed.append(row)
    if not searched.ended or not changed:
        return Again(stored, {}, None)
    measured = stored[changed]
    digest = checksum(measured).hex()[:8]
    inputs = replace(what.inputs, count=len(changed), artifact=runner.keep(measured))
    spec = planning.measuring_spec(problem, classes, inputs, "verify")
    found = runner.run(f"verify-{digest}", spec, measured)
    answers = Answers.of(found.best, len(changed), len(classes.quantities))
    told = {row: (answers.label(at), answers.score(at)) for at, row in enumerate(changed)}
    return Again(stored, told, found)
