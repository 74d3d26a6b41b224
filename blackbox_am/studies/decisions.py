"""Decisions about a study: requests are checked against its state and become events.

The functions of this module do not change a study. They return an event or raise an error that
explains the refusal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core import tensors
from blackbox_am.core.checksums import checksum
from blackbox_am.core.observation import failures, in_words
from blackbox_am.core.spec import ArrayData, Budget
from blackbox_am.core.types import FloatArray, StopReason, StudyState
from blackbox_am.errors import InvalidInput, InvalidSpec, ShapeMismatch, StudyClosed
from blackbox_am.studies.candidates import Generation
from blackbox_am.studies.events import (
    BudgetChanged,
    GenerationClosed,
    Rechecked,
    RowsTold,
    StateChanged,
    int_array,
)
from blackbox_am.studies.scoring import Bools, Scored
from blackbox_am.studies.study import Study

Array = NDArray[Any]


@dataclass(frozen=True)
class ToldRows:
    """Measurements of candidates of one generation, as received.

    Attributes:
        generation: the generation of all the candidates.
        targets, rows: (N,) int64, the place of each candidate.
        values: (N, U) float64 in the columns of each row's layout; nan is a failed measurement.
        rendered: (N,) bool, false if the stimulus was not finite; None if all were finite.
    """

    generation: int
    targets: Array
    rows: Array
    values: Array
    rendered: Bools | None = None

    def __len__(self) -> int:
        return len(self.targets)


def clients_values(study: Study, targets: Array, activations: Array) -> FloatArray:
    """(N, U) values in the columns of each target's layout, from a client's measurements.

    Args:
        targets: (N,) of the rows.
        activations: (N, units) float; nan is a failed measurement.

    Raises:
        ShapeMismatch: for activations of another shape or dtype.
        InvalidInput: for infinities.
    """
    tensors.check_shape(activations, (len(targets), study.units), "activations")
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
    # A target that does not exist is refused with its candidate, by `rows_told`.
    return study.scorer.with_units(targets.clip(0, len(study.targets) - 1), activations)


def rows_told(study: Study, told: ToldRows, wanted: Bools) -> tuple[RowsTold | None, int]:
    """The event for received measurements, and the number of new measurements.

    Args:
        told: the measurements.
        wanted: (len(active), P) the rows of the open generation to measure.

    Returns:
        The event (None if no measurement is new), and the number of accepted rows. A row that was
        received before, or that belongs to a closed generation or a finished target, is dropped.

    Raises:
        StudyClosed: if the study has ended.
        InvalidInput: if a candidate was never proposed.
        ShapeMismatch: if the values have another shape.
    """
    if not study.state.active:
        raise StudyClosed(
            f"the study has {study.state.value}; it takes no more measurements"
            + ("; extend its budget first" if study.state is StudyState.SUCCEEDED else "")
        )
    tensors.check_shape(told.values, (len(told), study.quantities), "values")
    _check_candidates(study, told, wanted)
    if told.generation < study.generation:
        return None, 0
    fresh = _fresh(study, told.targets, told.rows)
    if not fresh.any():
        return None, 0
    targets, own = told.targets[fresh], study.scorer.own(told.targets[fresh])
    values = np.where(own, told.values[fresh], np.nan)
    rendered = np.ones(len(targets), bool) if told.rendered is None else told.rendered[fresh]
    event = RowsTold(
        told.generation,
        int_array(targets),
        int_array(told.rows[fresh]),
        ArrayData.of(values),
        int(np.count_nonzero(failures(values, rendered, own))),
        None if rendered.all() else ArrayData.of((~rendered).astype(np.uint8)),
    )
    return event, len(targets)


def closed(study: Study, scored: Scored, latents: torch.Tensor, seconds: float) -> GenerationClosed:
    """The event that closes the open generation.

    Args:
        scored: the complete scores.
        latents: (len(active), P, D), as evaluated. Only new best latents are copied to the host,
            unless the study stores all latents.
        seconds: duration of the generation.
    """
    best = scored.best()
    before = np.array([study.targets[index].best_score for index in study.active])
    succeeded = scored.met.any(axis=1)
    improved = succeeded | (np.nan_to_num(best, nan=-np.inf) > before)
    places = np.flatnonzero(improved)
    filled = np.where(np.isnan(scored.scores), -np.inf, scored.scores)
    # The first success is kept, even if another row of the generation has a higher score.
    rows = np.where(succeeded, scored.met.argmax(axis=1), filled.argmax(axis=1))[places]
    scores = scored.scores[places, rows]
    after = before.copy()
    after[places] = scores
    active = np.asarray(study.active)
    picked = torch.from_numpy(places).to(latents.device), torch.from_numpy(rows).to(latents.device)
    return GenerationClosed(
        study.generation,
        study.active,
        ArrayData.of(
            scored.scores[:, : 1 + np.flatnonzero(scored.told.any(axis=0)).max(initial=0)]
        ),
        checksum(latents),
        seconds,
        int_array(scored.told.sum(axis=1)),
        ArrayData.of(best),
        ArrayData.of(scored.mean()),
        ArrayData.of(np.where(after == -np.inf, np.nan, after)),
        tuple(active[places].tolist()),
        int_array(rows),
        ArrayData.of(scores),
        ArrayData.of(latents[picked].cpu().numpy()),
        tuple(active[succeeded].tolist()),
        scored.failed(),
        scored.warning(study.generation),
        ArrayData.of(latents.cpu().numpy()) if study.spec.keep_latents == "all" else None,
        study.search_rows + int(scored.told.sum()),
    )


def rechecked(study: Study, scored: Scored, generation: Generation, seconds: float) -> Rechecked:
    """The event that closes the generation of the re-check.

    Args:
        scored: the complete scores.
        generation: the candidates, as evaluated.
        seconds: duration of the generation.
    """
    count = generation.centre_rows
    centres = generation.latents[:, 0].cpu().numpy() if count else None
    return Rechecked(
        study.generation,
        study.active,
        ArrayData.of(scored.scores),
        count,
        None if centres is None else ArrayData.of(centres),
        int_array(scored.told.sum(axis=1)),
        seconds,
    )


def paused(study: Study) -> StateChanged | None:
    """The event that pauses the study, or None if it is paused already."""
    if study.state is StudyState.PAUSED:
        return None
    _check_active(study, "paused")
    return StateChanged(StudyState.PAUSED, StopReason.USER, "paused by request")


def resumed(study: Study) -> StateChanged | None:
    """The event that resumes a paused or failed study, or None if it runs already."""
    if study.state in (StudyState.PENDING, StudyState.RUNNING):
        return None
    if study.state is not StudyState.FAILED:
        _check_active(study, "resumed")
    return StateChanged(StudyState.PENDING)


def cancelled(study: Study) -> StateChanged | None:
    """The event that cancels the study, or None if it is cancelled already."""
    if study.state is StudyState.CANCELLED:
        return None
    _check_active(study, "cancelled")
    return StateChanged(StudyState.CANCELLED, StopReason.USER, "cancelled by request")


def concluded(study: Study) -> StateChanged | None:
    """The event that ends a study whose targets are all finished, or None if some are not."""
    if not study.exhausted or not study.state.active:
        return None
    reasons = {target.stop_reason for target in study.targets}
    order = (
        StopReason.BUDGET,
        StopReason.TIME,
        StopReason.PATIENCE,
        StopReason.TARGET,
        StopReason.SUCCESS,
    )
    reason = next(reason for reason in order if reason in reasons)
    return StateChanged(StudyState.SUCCEEDED, reason, _without_score(study))


def _without_score(study: Study) -> str:
    """A message about targets for which no finite score was found; empty if there are none."""
    number = sum(not math.isfinite(target.best_score) for target in study.targets)
    if not number:
        return ""
    return (
        f"{number} of {len(study.targets)} targets have no finite score; of "
        f"{study.search_rows:,} measured rows: {in_words(study.failed)}. Check the objective, and "
        "the model on one stimulus"
    )


def extended(study: Study, budget: Budget) -> BudgetChanged:
    """The event that raises the budget.

    Raises:
        InvalidSpec: if a limit would become smaller.
        StudyClosed: if the study was cancelled or failed.
    """
    if study.state in (StudyState.CANCELLED, StudyState.FAILED):
        raise StudyClosed(f"the study has {study.state.value}; its budget cannot be raised")
    if budget.queries_per_target < study.budget.queries_per_target:
        raise InvalidSpec(
            f"budget.queries_per_target can only be raised: it is "
            f"{study.budget.queries_per_target}, got {budget.queries_per_target}",
            field="budget.queries_per_target",
        )
    for name in ("seconds", "target_score", "patience"):
        now, wanted = getattr(study.budget, name), getattr(budget, name)
        if None not in (wanted, now) and wanted < now:
            raise InvalidSpec(
                f"budget.{name} can only be raised or newly set: it is {now}, got {wanted}",
                field=f"budget.{name}",
            )
    return BudgetChanged(budget)


def _check_active(study: Study, verb: str) -> None:
    if not study.state.active:
        raise StudyClosed(f"the study has {study.state.value} and cannot be {verb}")


def _check_candidates(study: Study, told: ToldRows, wanted: Bools) -> None:
    targets, rows = told.targets, told.rows
    bad: Any = (
        told.generation > study.generation
        or (told.generation == study.generation and study.exhausted)
        or ((targets < 0) | (targets >= len(study.targets))).any()
        or ((rows < 0) | (rows >= study.rows)).any()
    )
    if not bad and told.generation == study.generation:
        places = study.places(targets)
        bad = (~wanted[places, rows] & (places >= 0)).any()
    if bad:
        raise InvalidInput(
            f"candidate_ids: generation {told.generation} holds a candidate that was never "
            f"proposed; the open generation is {study.generation}, targets are 0 to "
            f"{len(study.targets) - 1}, rows 0 to {study.rows - 1}",
            field="candidate_ids",
        )


def _fresh(study: Study, targets: Array, rows: Array) -> Bools:
    """(N,) bool, the candidates of the open generation that are measured for the first time."""
    places = study.places(targets)
    fresh = (places >= 0) & ~study.measured.told[places, rows]
    _, first = np.unique(places * study.rows + rows, return_index=True)
    once = np.zeros(len(targets), bool)
    once[first] = True
    found: Bools = fresh & once
    return found
