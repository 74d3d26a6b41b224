"""Requests for a study that exists already: the study continues, or the request is refused."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from blackbox_am.core.identity import Fingerprint
from blackbox_am.core.spec import Budget, StudySpec, to_plain
from blackbox_am.errors import ModelChanged, StudyExists
from blackbox_am.studies.events import Adopted, BudgetChanged
from blackbox_am.studies.study import Study

SHOWN_FIELDS = 6


def reopened(
    study_id: str,
    study: Study,
    spec: StudySpec,
    oracle: Fingerprint | None,
    generator: Fingerprint | None,
    *,
    adopt: bool = False,
) -> list[Adopted | BudgetChanged]:
    """The events by which `study` continues according to `spec`; empty without a change.

    Args:
        study_id: its id, for messages.
        study: the study from the journal.
        spec: the present request.
        oracle, generator: the present oracle and generator.
        adopt: whether to continue with another oracle or generator.

    Raises:
        StudyExists: if more differs than a larger budget. The message names the fields.
        ModelChanged: if the oracle or the generator differs and `adopt` is false.
    """
    grew = check_spec(study_id, study, spec)
    events: list[Adopted | BudgetChanged] = []
    changed = model_changes(study, oracle, generator)
    if changed and not adopt:
        raise ModelChanged(explained(study_id, changed, oracle, generator), field="study_id")
    if changed:
        events.append(Adopted(oracle, generator, changed, study.generation))
    if grew:
        events.append(BudgetChanged(spec.budget))
    return events


def check_spec(study_id: str, study: Study, spec: StudySpec) -> bool:
    """Checks that `spec` describes `study`, possibly with a larger budget. Returns whether the
    budget is larger.

    Raises:
        StudyExists: if more differs than a larger budget. The message names the fields.
    """
    differences = list(_differences(study, spec))
    if differences:
        shown = "; ".join(differences[:SHOWN_FIELDS])
        more = len(differences) - SHOWN_FIELDS
        raise StudyExists(
            f"a study {study_id!r} exists with another specification: {shown}"
            + (f"; and {more} more fields" if more > 0 else "")
            + "; choose another id, or delete that study first",
            field="study_id",
        )
    return spec.budget not in (study.created.spec.budget, study.budget)


def check_models(
    study_id: str, study: Study, oracle: Fingerprint | None, generator: Fingerprint | None
) -> None:
    """Checks that a study continues with the models of its beginning, or with models that it has
    adopted.

    Raises:
        ModelChanged: if a model differs.
    """
    changed = model_changes(study, oracle, generator)
    if changed:
        raise ModelChanged(explained(study_id, changed, oracle, generator), field="study_id")


def model_changes(study: Study, oracle: Fingerprint | None, generator: Fingerprint | None) -> str:
    """A text with the differences from the models of the study; empty without differences.

    A model without a recorded or a present fingerprint is not compared.
    """
    pairs = (
        ("oracle", study.oracle_fingerprint, oracle),
        ("generator", study.generator_fingerprint, generator),
    )
    return "; and ".join(
        f"of its {noun}, {before.difference(now)}"
        for noun, before, now in pairs
        if before is not None and now is not None and before.difference(now)
    )


def explained(
    study_id: str, changed: str, oracle: Fingerprint | None, generator: Fingerprint | None
) -> str:
    """The message for a study whose model has changed, with the possible ways to continue."""
    cure = ""
    if any(model is not None and model.unnamed for model in (oracle, generator)):
        cure = (
            ". Another process knows such an object only by a name: give the oracle's parameter "
            "model, such as model='v1', or exclude the field from the identity of your own class "
            "(excluded_from_identity) where no answer depends on it"
        )
    return (
        f"study {study_id!r} would mix two models: {changed}{cure}. Give the study another id, or "
        "use a fresh store, or go on with the new model knowingly: adopt=True in Python, --adopt "
        "on the command line, adopt in ResumeStudy"
    )


def _differences(study: Study, spec: StudySpec) -> Iterator[str]:
    before, now = to_plain(study.spec), to_plain(spec)
    for plain in (before, now):
        plain.pop("budget", None)
    yield from _differing("", before, now)
    if spec.budget not in (study.spec.budget, study.budget) and not _grew(
        study.budget, spec.budget
    ):
        yield from _differing("budget.", to_plain(study.budget), to_plain(spec.budget))


def _grew(before: Budget, now: Budget) -> bool:
    """Whether each limit is the same or wider."""
    return (
        now.queries_per_target >= before.queries_per_target
        and _limit(now.seconds) >= _limit(before.seconds)
        and _limit(now.patience) >= _limit(before.patience)
        and _limit(now.target_score) >= _limit(before.target_score)
    )


def _limit(value: float | None) -> float:
    return math.inf if value is None else value


def _differing(path: str, before: Any, now: Any) -> Iterator[str]:
    if before == now:
        return
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in sorted(before.keys() | now.keys()):
            yield from _differing(f"{path}{key}.", before.get(key), now.get(key))
        return
    lists = isinstance(before, (list, tuple)) and isinstance(now, (list, tuple))
    if lists and len(before) == len(now):
        for place, (one, other) in enumerate(zip(before, now, strict=True)):
            yield from _differing(f"{path[:-1]}[{place}].", one, other)
        return
    yield f"{path[:-1]} was {_shown(before)} and is {_shown(now)}"


def _shown(value: Any) -> str:
    text = "not set" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
