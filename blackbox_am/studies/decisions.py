"""What may happen to a study: wishes checked against its state and turned into events.

Nothing here changes a study. An event comes back, or an error that says why not.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core import tensors
from blackbox_am.core.spec import ArrayData, Budget
from blackbox_am.core.types import StopReason, StudyState
from blackbox_am.errors import InvalidInput, InvalidSpec, ShapeMismatch, StudyClosed
from blackbox_am.studies.events import (
    BudgetChanged,
    GenerationClosed,
    RowsTold,
    StateChanged,
    int_array,
)
from blackbox_am.studies.study import Study, best_row_of

Array = NDArray[Any]


def rows_told(
    study: Study, generation: int, targets: Array, rows: Array, activations: Array
) -> tuple[RowsTold | None, int]:
    """The event that brings measurements, and how many of them are news.

    Args:
        generation: of all the candidates.
        targets, rows: (N,) which candidates.
        activations: (N, U) float; nan is a failed row.

    Returns:
        The event (None where nothing is new), and the number of rows accepted. What
        was told before, or is of a closed generation or a finished target, is dropped.

    Raises:
        StudyClosed: where the study has ended.
        InvalidInput: for candidates that were never proposed, and for infinities.
        ShapeMismatch: for activations of another shape.
    """
    if not study.state.active:
        raise StudyClosed(
            f"the study has {study.state.value}; it takes no more measurements"
            + ("; extend its budget first" if study.state is StudyState.SUCCEEDED else "")
        )
    tensors.check_shape(activations, (len(targets), study.quantities), "activations")
    if activations.dtype.kind != "f":
        raise ShapeMismatch(
            f"activations: expected float32 or float64, got {activations.dtype.name}",
            field="activations",
        )
    if np.isinf(activations).any():
        row = int(np.flatnonzero(np.isinf(activations).any(axis=1))[0])
        raise InvalidInput(
            f"activations: row {row} holds an infinity; send the measured number, "
            "or nan where the measurement failed",
            field="activations",
        )
    _check_candidates(study, generation, targets, rows)
    if generation < study.generation:
        return None, 0
    fresh = _fresh(study, targets, rows)
    if not fresh.any():
        return None, 0
    event = RowsTold(
        generation,
        int_array(targets[fresh]),
        int_array(rows[fresh]),
        ArrayData.of(activations[fresh].astype(np.float32)),
        _failed(study, targets[fresh], activations[fresh]),
    )
    return event, int(fresh.sum())


def closed(
    study: Study, merged: NDArray[np.float32], latents: Array, seconds: float
) -> GenerationClosed:
    """The event that closes the open generation.

    Args:
        merged: (len(active), rows, U) activations, complete.
        latents: (len(active), P, D), as evaluated.
        seconds: how long it took.
    """
    scores = study.scores(merged)
    improved, best = [], []
    for position, index in enumerate(study.active):
        row = best_row_of(scores[position])
        if row is not None and scores[position, row] > study.targets[index].best_score:
            improved.append(index)
            best.append(latents[position, row])
    return GenerationClosed(
        study.generation,
        study.active,
        ArrayData.of(scores),
        _best_so_far(study, scores),
        tensors.checksum(latents),
        seconds,
        tuple(improved),
        ArrayData.of(np.stack(best) if best else latents[0, :0]),
        ArrayData.of(latents) if study.spec.keep_latents == "all" else None,
    )


def _best_so_far(study: Study, scores: NDArray[np.float64]) -> tuple[float, ...]:
    earlier = np.array([study.targets[index].best_score for index in study.active])
    found = np.fmax.reduce(scores, axis=1, initial=np.nan)
    return tuple(np.fmax(found, np.where(np.isneginf(earlier), np.nan, earlier)).tolist())


def paused(study: Study) -> StateChanged | None:
    """The event that pauses the study, or None where it is paused."""
    if study.state is StudyState.PAUSED:
        return None
    _check_active(study, "paused")
    return StateChanged(StudyState.PAUSED, StopReason.USER, "paused by request")


def resumed(study: Study) -> StateChanged | None:
    """The event that sets a paused or failed study going, or None where it is going."""
    if study.state in (StudyState.PENDING, StudyState.RUNNING):
        return None
    if study.state is not StudyState.FAILED:
        _check_active(study, "resumed")
    return StateChanged(StudyState.PENDING)


def cancelled(study: Study) -> StateChanged | None:
    """The event that cancels the study, or None where it is cancelled."""
    if study.state is StudyState.CANCELLED:
        return None
    _check_active(study, "cancelled")
    return StateChanged(StudyState.CANCELLED, StopReason.USER, "cancelled by request")


def concluded(study: Study) -> StateChanged | None:
    """The event that ends a study whose targets are all finished, or None."""
    if not study.exhausted or not study.state.active:
        return None
    reasons = {target.stop_reason for target in study.targets}
    order = (StopReason.BUDGET, StopReason.TIME, StopReason.PATIENCE, StopReason.TARGET)
    reason = next(reason for reason in order if reason in reasons)
    return StateChanged(StudyState.SUCCEEDED, reason)


def extended(study: Study, budget: Budget) -> BudgetChanged:
    """The event that raises the budget.

    Raises:
        InvalidSpec: where some limit would fall.
        StudyClosed: where the study was cancelled or failed.
    """
    if study.state in (StudyState.CANCELLED, StudyState.FAILED):
        raise StudyClosed(f"the study has {study.state.value}; its budget cannot be raised")
    if budget.queries_per_target < study.budget.queries_per_target:
        raise InvalidSpec(
            f"budget.queries_per_target can only be raised: it is "
            f"{study.budget.queries_per_target}, got {budget.queries_per_target}",
            field="budget.queries_per_target",
        )
    if budget.seconds is not None and budget.seconds < (study.budget.seconds or math.inf):
        raise InvalidSpec(
            f"budget.seconds can only be raised: it is {study.budget.seconds}, "
            f"got {budget.seconds}",
            field="budget.seconds",
        )
    return BudgetChanged(budget)


def _check_active(study: Study, verb: str) -> None:
    if not study.state.active:
        raise StudyClosed(f"the study has {study.state.value} and cannot be {verb}")


def _check_candidates(study: Study, generation: int, targets: Array, rows: Array) -> None:
    bad = (
        generation > study.generation
        or ((targets < 0) | (targets >= len(study.targets))).any()
        or (rows < 0).any()
        or (rows >= (study.rows if generation == study.generation else study.population)).any()
    )
    if bad:
        raise InvalidInput(
            f"candidate_ids: generation {generation} holds a candidate that was never "
            f"proposed; the open generation is {study.generation}, targets are 0 to "
            f"{len(study.targets) - 1}, rows 0 to {study.rows - 1}",
            field="candidate_ids",
        )


def _fresh(study: Study, targets: Array, rows: Array) -> NDArray[np.bool_]:
    position = {index: place for place, index in enumerate(study.active)}
    fresh = np.zeros(len(targets), bool)
    seen: set[tuple[int, int]] = set()
    for i, key in enumerate(zip(targets.tolist(), rows.tolist(), strict=True)):
        place = position.get(key[0])
        if place is not None and key not in seen and not study.told[place, key[1]]:
            fresh[i] = True
            seen.add(key)
    return fresh


def _failed(study: Study, targets: Array, activations: Array) -> int:
    """Rows without a value for one of the units that their target reads."""
    widths = np.array([len(target.objective.reads()) for target in study.targets])
    mine = np.arange(activations.shape[1]) < widths[targets][:, None]
    return int((np.isnan(activations) & mine).any(axis=1).sum())
