"""A study as people look at it: progress, the best so far, scores by generation."""

from __future__ import annotations

from collections.abc import Iterator

from blackbox_am.core.observation import in_words
from blackbox_am.core.store import Store
from blackbox_am.core.types import (
    Best,
    CandidateId,
    GenerationScores,
    StudyProgress,
    TargetProgress,
)
from blackbox_am.studies.events import GenerationClosed, decode
from blackbox_am.studies.study import Study


def progress(study_id: str, study: Study) -> StudyProgress:
    """How far `study` is."""
    targets = tuple(
        TargetProgress(
            index,
            str(target.objective),
            target.queries,
            None if target.best_latent is None else target.best_score,
            target.stop_reason,
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


def warning_of(study: Study) -> str:
    """What the owner of `study` should know: from its beginning, of its scores, of failed rows."""
    failed = ""
    if study.failed_rows:
        failed = (
            f"{study.failed_rows} of {study.search_rows} rows failed ({in_words(study.failed)}) "
            "and have no score"
        )
    return "; ".join(text for text in (study.created.warning, study.warning, failed) if text)


def best(study_id: str, study: Study) -> list[Best]:
    """The best candidate of each target that has one."""
    return [
        Best(
            index,
            str(target.objective),
            target.best_score,
            CandidateId(study_id, target.best_generation, index, target.best_row),
            target.best_latent,
        )
        for index, target in enumerate(study.targets)
        if target.best_latent is not None
    ]


def load(store: Store, study_id: str) -> Study:
    """The study as its journal tells it, for reading.

    Raises:
        NotFound: where there is no such study.
    """
    return Study.fold(decode(record.body) for record in store.read(study_id))


def generations(store: Store, study_id: str, after: int = -1) -> Iterator[GenerationScores]:
    """The closed generations after number `after`, in order, out of the journal.

    Raises:
        NotFound: where there is no such study.
    """
    events = [decode(record.body) for record in store.read(study_id)]
    study = Study.fold(events[:1])
    for event in events[1:]:
        if isinstance(event, GenerationClosed) and event.generation > after:
            yield GenerationScores(
                event.generation, study.active, study.scored().scores, event.seconds
            )
        study.apply(event)
