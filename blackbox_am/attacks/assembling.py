"""The result of an attack, put together from its studies."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.attacks.answers import Answers
from blackbox_am.attacks.inputs import Given
from blackbox_am.attacks.planning import Classes, Inputs
from blackbox_am.attacks.problem import Problem
from blackbox_am.attacks.results import AttackedInput, AttackResult, Outcome, float_stimuli
from blackbox_am.attacks.running import Found
from blackbox_am.core.types import Accounting, Purpose, StopReason
from blackbox_am.version import __version__


@dataclass(frozen=True)
class Attacked:
    """An attack whose studies were run.

    Attributes:
        problem: with the name of the optimizer that searched.
        given: the N inputs.
        classes: where the model tells its classes.
        inputs: how studies name the inputs and the model.
        clean: the model's answers to the clean inputs.
        labels: (N,) the true classes.
        wanted: (N,) the wanted classes; None for an untargeted attack.
        rows: (K,) positions of the inputs that were attacked.
        own_labels: whether the true classes are the model's own answers.
        among: positions of the inputs that earlier attacks have left; None for the first attack,
            which pays for the clean inputs.
    """

    problem: Problem
    given: Given
    classes: Classes
    inputs: Inputs
    clean: Answers
    labels: NDArray[np.int64]
    wanted: NDArray[np.int64] | None
    rows: NDArray[np.int64]
    own_labels: bool
    among: Collection[int] | None = None


def assembled(
    ran: Attacked, clean: Found, searched: Found | None, verified: Found | None
) -> AttackResult:
    """The result.

    Args:
        ran: the attack.
        clean: the study of the clean inputs.
        searched: the study that attacked; None if no input could be attacked.
        verified: the study that measured the adversarial inputs afresh; None if there are none.
    """
    found = [one for one in (clean, searched, verified) if one is not None]
    problem, given = ran.problem, ran.given
    adversarial, again = _adversarial(ran, searched, verified)
    rows = [_row(ran, index, searched, again, adversarial) for index in range(ran.inputs.count)]
    unread = [
        AttackedInput(len(rows) + place, name, Outcome.ERROR, message=reason)
        for place, (name, reason) in enumerate(given.unread)
    ]
    blank = np.zeros((len(unread), *given.stimuli.shape[1:]), given.stimuli.dtype)
    spent = _spent(clean, Purpose.CLEAN) if ran.among is None else Accounting()
    spent += Accounting() if searched is None else searched.progress.spent
    spent += Accounting() if verified is None else _spent(verified, Purpose.VERIFY)
    warnings = [one.progress.warning for one in found if one.progress.warning]
    scores = np.full((len(unread), ran.clean.scores.shape[1]), np.nan)
    stopped = [one.progress.message for one in found if not one.ended]
    return AttackResult(
        attack=problem.attack,
        parameters=dict(problem.parameters),
        norm=problem.norm,
        eps=problem.eps,
        targeted=problem.targeted,
        budget=problem.budget,
        seed=problem.seed,
        oracle=ran.inputs.oracle,
        identity=_identity(ran),
        classes=ran.classes.names,
        inputs=(*rows, *unread),
        clean=np.concatenate([given.stimuli, blank]),
        adversarial=np.concatenate([adversarial, blank]),
        spent=spent,
        warnings=tuple(dict.fromkeys([*warnings, *stopped])),
        complete=not stopped,
        own_labels=ran.own_labels,
        scores=None if ran.clean.labels_only else np.concatenate([ran.clean.scores, scores]),
    )


def _identity(ran: Attacked) -> dict[str, str]:
    digest = hashlib.blake2b(np.ascontiguousarray(ran.given.stimuli).data, digest_size=16)
    model = {"model": ran.inputs.fingerprint} if ran.inputs.fingerprint else {}
    return {
        "version": __version__,
        **model,
        "inputs": digest.hexdigest(),
        "bits": str(ran.problem.bits or "real numbers"),
        "answers": "labels only" if ran.clean.labels_only else ran.classes.scale,
    }


def _spent(found: Found, purpose: Purpose) -> Accounting:
    """The account of a study whose search rows are for `purpose`."""
    spent = found.progress.spent
    own = spent.rows - spent.retried_rows - spent.rows_apart
    return replace(spent, **{purpose.value: own})


def _adversarial(
    ran: Attacked, searched: Found | None, verified: Found | None
) -> tuple[NDArray[Any], dict[int, tuple[int | None, float | None]]]:
    """(N, *input) adversarial inputs, the clean ones where there is none; and the model's fresh
    answer, class and score, by position.
    """
    adversarial = ran.given.stimuli.copy()
    again: dict[int, tuple[int | None, float | None]] = {}
    if searched is not None:
        for best in searched.best:
            adversarial[ran.rows[best.target]] = _as(adversarial.dtype, best.stimulus)
    if searched is None or verified is None:
        return adversarial, again
    measured = [int(ran.rows[best.target]) for best in searched.best]
    answers = Answers.of(verified.best, len(measured), len(ran.classes.quantities))
    for place, index in enumerate(measured):
        again[index] = answers.label(place), answers.score(place)
    return adversarial, again


def _as(dtype: np.dtype[Any], stimulus: NDArray[Any] | None) -> NDArray[Any]:
    assert stimulus is not None  # runners render the best candidates
    values = float_stimuli(stimulus)
    return np.rint(values * 255).astype(np.uint8) if dtype == np.uint8 else values


def _row(
    ran: Attacked,
    index: int,
    searched: Found | None,
    again: dict[int, tuple[int | None, float | None]],
    adversarial: NDArray[Any],
) -> AttackedInput:
    clean = ran.clean
    wanted = None if ran.wanted is None else int(ran.wanted[index])
    label = int(ran.labels[index]) if ran.labels[index] >= 0 else None
    row = AttackedInput(
        index,
        ran.given.names[index],
        Outcome.UNFINISHED,
        label,
        wanted,
        clean_label=clean.label(index),
        clean_score=clean.score(index),
    )
    if not clean.known[index]:
        message = "the model gave no finite answer to the clean input"
        return replace(row, outcome=Outcome.ERROR, message=message)
    if index not in ran.rows:
        message = (
            "an attack before this one has fooled the model"
            if ran.among is not None and index not in ran.among and clean.label(index) == label
            else _why_not(clean.label(index), label)
        )
        return replace(row, outcome=Outcome.SKIPPED, message=message)
    if searched is None:
        return row
    target = searched.progress.targets[int(np.flatnonzero(ran.rows == index)[0])]
    row = replace(row, queries=target.queries, distances=_distances(ran, index, adversarial))
    if target.stop_reason is StopReason.NONE:
        return row
    if target.stop_reason is not StopReason.SUCCESS:
        label, score = again.get(index, (None, None))
        return replace(
            row, outcome=Outcome.FAILED, adversarial_label=label, adversarial_score=score
        )
    if index not in again:
        return row
    return _judged(row, *again[index])


def _why_not(answer: int | None, label: int | None) -> str:
    """Why an input is not attacked."""
    if answer != label:
        return "the model classifies the clean input as another class"
    return "the model answers with the wanted class already"


def _judged(row: AttackedInput, label: int | None, score: float | None) -> AttackedInput:
    """A success, after its adversarial input was measured afresh."""
    fooled = label is not None and (
        label == row.target if row.target is not None else label != row.label
    )
    row = replace(row, adversarial_label=label, adversarial_score=score, verified=fooled)
    if fooled:
        return replace(row, outcome=Outcome.SUCCESS)
    message = "the model was fooled once, and not again when the input was measured afresh"
    return replace(row, outcome=Outcome.FAILED, message=message)


def _distances(ran: Attacked, index: int, adversarial: NDArray[Any]) -> dict[str, float]:
    given = ran.given.stimuli[index]
    change = adversarial[index].astype(np.float64) - given.astype(np.float64)
    if given.dtype == np.uint8:
        change /= 255
    places = (change != 0).any(0) if change.ndim == 3 else change != 0
    return {
        "linf": float(np.abs(change).max()),
        "l2": float(np.sqrt(np.square(change).sum())),
        "l0": float(places.sum()),
    }
