"""The result of an attack, put together from its studies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.attacks.answers import Answers
from blackbox_am.attacks.distances import changes_between, distances
from blackbox_am.attacks.inputs import Given
from blackbox_am.attacks.planning import Classes, Inputs
from blackbox_am.attacks.problem import LATENT, NORMS, Problem, method_of
from blackbox_am.attacks.results import AttackedInput, AttackResult, Outcome, float_stimuli
from blackbox_am.attacks.running import Found
from blackbox_am.core.tensors import checksum
from blackbox_am.core.types import Accounting, StopReason
from blackbox_am.version import __version__


@dataclass(frozen=True)
class Again:
    """The stored adversarial inputs, and what the model says of them afresh.

    Attributes:
        stored: (N, *input) the adversarial inputs; the clean ones where there is none.
        told: the predicted class and its score, by position, of the inputs that were to be measured
            again; None where there is no answer.
        found: the study that measured them; None if there was none.
    """

    stored: NDArray[Any]
    told: Mapping[int, tuple[int | None, float | None]]
    found: Found | None

    @classmethod
    def nothing(cls, given: Given) -> Again:
        """Before anything was found."""
        return cls(given.stimuli.copy(), {}, None)


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
        pays_clean: whether this attack has the account of the clean inputs.
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
    pays_clean: bool = True


def assembled(ran: Attacked, clean: Found, searched: Found | None, again: Again) -> AttackResult:
    """The result.

    Args:
        ran: the attack.
        clean: the study of the clean inputs.
        searched: the study that attacked; None if no input could be attacked.
        again: the stored adversarial inputs, measured afresh.
    """
    found = [one for one in (clean, searched, again.found) if one is not None]
    problem, given = ran.problem, ran.given
    rows = [_row(ran, index, clean, searched, again) for index in range(ran.inputs.count)]
    unread = [
        AttackedInput(len(rows) + place, name, Outcome.ERROR, message=reason)
        for place, (name, reason) in enumerate(given.unread)
    ]
    blank = np.zeros((len(unread), *given.stimuli.shape[1:]), given.stimuli.dtype)
    spent = clean.progress.spent if ran.pays_clean else Accounting()
    spent += Accounting() if searched is None else searched.progress.spent
    spent += Accounting() if again.found is None else again.found.progress.spent
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
        adversarial=np.concatenate([again.stored, blank]),
        spent=spent,
        warnings=tuple(dict.fromkeys([*warnings, *stopped])),
        complete=not stopped,
        own_labels=ran.own_labels,
        features=given.features,
        scores=None if ran.clean.labels_only else np.concatenate([ran.clean.scores, scores]),
    )


def as_stored(dtype: np.dtype[Any], stimulus: NDArray[Any] | None) -> NDArray[Any]:
    """A rendered stimulus as it is stored: with 8 bits as uint8."""
    assert stimulus is not None  # runners render the best candidates
    values = float_stimuli(stimulus)
    return np.rint(values * 255).astype(np.uint8) if dtype == np.uint8 else values


def _identity(ran: Attacked) -> dict[str, str]:
    model = {"model": ran.inputs.fingerprint} if ran.inputs.fingerprint else {}
    return {
        "version": __version__,
        **model,
        "inputs": checksum(ran.given.stimuli).hex(),
        "bits": str(ran.problem.bits or "real numbers"),
        "answers": "labels only" if ran.clean.labels_only else ran.classes.scale,
    }


def _row(
    ran: Attacked, index: int, clean: Found, searched: Found | None, again: Again
) -> AttackedInput:
    """The result for one input."""
    answers = ran.clean
    wanted = None if ran.wanted is None else int(ran.wanted[index])
    label = int(ran.labels[index]) if ran.labels[index] >= 0 else None
    row = AttackedInput(
        index,
        ran.given.names[index],
        Outcome.UNFINISHED,
        label,
        wanted,
        clean_label=answers.label(index),
        clean_score=answers.score(index),
    )
    if not answers.known[index]:
        if not clean.ended:
            return row
        message = "the model gave no finite answer to the clean input"
        return replace(row, outcome=Outcome.ERROR, message=message)
    if index not in ran.rows:
        return replace(row, outcome=Outcome.SKIPPED, message=_why_not(row))
    if searched is None:
        return row
    place = int(np.flatnonzero(ran.rows == index)[0])
    target = searched.progress.targets[place]
    measured = _distances(ran, index, again.stored) | _latent_distance(ran, place, searched)
    row = replace(row, queries=target.queries, distances=measured)
    label, score = again.told.get(index, (None, None))
    row = replace(row, adversarial_label=label, adversarial_score=score)
    if target.stop_reason is StopReason.NONE:
        return row
    if target.stop_reason is not StopReason.SUCCESS:
        return replace(row, outcome=Outcome.FAILED, message=_closest(ran, target.best_score))
    if label is None:
        return _without_answer(row, again)
    return _judged(row)


def _why_not(row: AttackedInput) -> str:
    """Why an input is not attacked."""
    if row.clean_label != row.label:
        return "the model classifies the clean input as another class"
    if row.target is not None and row.target in (row.label, row.clean_label):
        return "the wanted class is the class of the clean input"
    return "an attack before this one has fooled the model"


def _closest(ran: Attacked, score: float | None) -> str:
    """How close an attack from outside the ball has come."""
    if method_of(ran.problem.attack).latents != "range" or not score or score <= 0:
        return ""
    return f"the closest input that fools the model is at a distance of {1 / score - 1:.4g}"


def _without_answer(row: AttackedInput, again: Again) -> AttackedInput:
    """A success of which the stored input has no fresh answer."""
    if again.found is None or not again.found.ended:
        return row
    message = "the model gave no finite answer when the adversarial input was measured afresh"
    return replace(row, outcome=Outcome.ERROR, message=message)


def _judged(row: AttackedInput) -> AttackedInput:
    """A success, after its adversarial input was measured afresh."""
    fooled = (
        row.adversarial_label == row.target
        if row.target is not None
        else row.adversarial_label != row.label
    )
    if fooled:
        return replace(row, outcome=Outcome.SUCCESS, verified=True)
    message = "the model was fooled once, and not again when the input was measured afresh"
    return replace(row, outcome=Outcome.FAILED, verified=False, message=message)


def _latent_distance(ran: Attacked, place: int, searched: Found) -> dict[str, float]:
    """The distance of the best candidate from the input's code, see `neighbourhood`."""
    latent = next((best.latent for best in searched.best if best.target == place), None)
    if ran.problem.norm != LATENT or latent is None:
        return {}
    values = np.asarray(latent, np.float64)
    length = float(np.sqrt(np.square(values).sum()))
    return {LATENT: ran.problem.eps * math.tanh(length / math.sqrt(len(values)))}


def _distances(ran: Attacked, index: int, stored: NDArray[Any]) -> dict[str, float]:
    change = changes_between(ran.given.stimuli[index : index + 1], stored[index : index + 1])
    return {norm: float(distances(change, norm)[0]) for norm in NORMS}
