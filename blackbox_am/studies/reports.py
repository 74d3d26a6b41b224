"""Reports of a study: progress, best candidates, scores by generation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from blackbox_am.core.natural import Standing, standings
from blackbox_am.core.observation import in_words
from blackbox_am.core.store import Store
from blackbox_am.core.types import (
    Best,
    CandidateId,
    GenerationScores,
    StudyProgress,
    TargetProgress,
)
from blackbox_am.studies import folded
from blackbox_am.studies.events import GenerationClosed, decode, kind_of
from blackbox_am.studies.study import Study

READ_EVENTS = 256

Array = NDArray[Any]


def progress(study_id: str, study: Study) -> StudyProgress:
    """The progress of `study`."""
    places = _standings(study)
    targets = tuple(
        TargetProgress(
            index,
            str(target.objective),
            target.queries,
            None if target.best_latent is None else target.reported[0],
            target.stop_reason,
            target.success_row if target.success_row >= 0 else None,
            places[index],
            target.recheck,
            target.recheck_rows,
        )
        for index, target in enumerate(study.targets)
    )
    return StudyProgress(
        study_id,
        study.state,
        study.stop_reason,
        study.message,
        study.sequence,
        study.generation,
        targets,
        study.budget.queries_per_target,
        study.search_rows,
        study.failed_rows,
        study.seconds,
        study.optimizer.name,
        warning_of(study),
        study.spent,
    )


def _standings(study: Study) -> list[Standing | None]:
    """The place of each target's best score among those of natural images."""
    if study.natural is None:
        return [None] * len(study.targets)
    scores = [
        math.nan if target.best_latent is None else target.reported[0] for target in study.targets
    ]
    return standings(study.natural, scores)


def warning_of(study: Study) -> str:
    """Warnings for the owner of `study`: from its start, about its scores, about failed rows."""
    failed = ""
    if study.failed_rows:
        failed = (
            f"{study.failed_rows} of {study.search_rows} rows failed ({in_words(study.failed)}) "
            "and have no score"
        )
    return "; ".join(text for text in (study.created.warning, study.warning, failed) if text)


def same_targets(before: StudyProgress, study: Study) -> StudyProgress:
    """The progress of `study` if no generation was closed and no budget was raised since
    `before`.
    """
    return replace(
        before,
        state=study.state,
        stop_reason=study.stop_reason,
        message=study.message,
        sequence=study.sequence,
        spent=study.spent,
    )


def best(study_id: str, study: Study) -> list[Best]:
    """The best candidate of each target that has one."""
    places, found = _standings(study), []
    for index, target in enumerate(study.targets):
        score, (generation, row), latent = target.reported
        if latent is not None:
            candidate = CandidateId(study_id, generation, index, row)
            title, place = str(target.objective), places[index]
            searched = candidate[1:] == (target.best_generation, index, target.best_row)
            found.append(
                Best(
                    index,
                    title,
                    score,
                    candidate,
                    latent,
                    natural=place,
                    recheck=target.recheck,
                    values=target.best_values if searched else None,
                )
            )
    return found


def load(store: Store, study_id: str) -> Study:
    """The study for reading, folded from its last written state.

    Raises:
        NotFound: if the study does not exist.
        StoreCorrupt: if the journal is damaged.
    """
    kept = store.folded(study_id)
    if kept is None:
        return Study.fold(decode(record.body) for record in store.read(study_id))
    study = folded.decode(kept.body)
    for record in store.read(study_id, kept.sequence):
        study.apply(decode(record.body))
    return study


def generations(store: Store, study_id: str) -> Iterator[GenerationScores]:
    """The closed generations of a study, in order.

    Raises:
        NotFound: if the study does not exist.
        StoreCorrupt: if the journal is damaged.
    """
    return (scores for _, scores in generations_after(store, study_id, 0))


def latents(store: Store, study_id: str) -> Iterator[Array]:
    """The latents (targets, rows, D) of each closed generation, in order.

    Empty for a study that keeps the best latents only.

    Raises:
        NotFound: if the study does not exist.
        StoreCorrupt: if the journal is damaged.
    """
    for _, event in _closed_after(store, study_id, 0):
        if event.latents is not None:
            yield event.latents.numpy()


def generations_after(
    store: Store, study_id: str, after_sequence: int
) -> Iterator[tuple[int, GenerationScores]]:
    """The generations that were closed after an event, in order, each with the sequence number
    of the event that closed it.

    Raises:
        NotFound: if the study does not exist.
        StoreCorrupt: if the journal is damaged.
    """
    for sequence, event in _closed_after(store, study_id, after_sequence):
        scores = event.scores.numpy()
        yield sequence, GenerationScores(event.generation, event.targets, scores, event.seconds)


def _closed_after(
    store: Store, study_id: str, after_sequence: int
) -> Iterator[tuple[int, GenerationClosed]]:
    closed = kind_of(GenerationClosed)
    while True:
        records = store.read(study_id, after_sequence, READ_EVENTS, closed)
        for record in records:
            event = decode(record.body)
            assert isinstance(event, GenerationClosed)  # the store selects by kind
            yield record.sequence, event
        if len(records) < READ_EVENTS:
            return
        after_sequence = records[-1].sequence
