"""Studies as JSON: a row of a list (summary), and a whole study."""

from __future__ import annotations

from typing import Any

from blackbox_am.core.spec import to_plain
from blackbox_am.core.stimuli import kind_of
from blackbox_am.gateway.documents import words
from blackbox_am.gateway.documents.groups import group_of
from blackbox_am.rpc import specs, structs
from blackbox_am.rpc.names import STUDIES
from blackbox_am.v1 import study_pb2 as pb

Document = dict[str, Any]

_COUNTS = tuple(field.name for field in pb.Accounting.DESCRIPTOR.fields)


def id_of(study: pb.Study) -> str:
    """The id of a study; empty if it has none."""
    return study.name.removeprefix(STUDIES)


def summary(study: pb.Study, groups: dict[str, str] | None = None) -> Document:
    """A study without what grows with the number of its targets.

    Args:
        study: the message, in any view.
        groups: the group of each study that belongs to one.
    """
    study_id = id_of(study)
    return {
        "id": study_id,
        "state": words.state(study.state),
        "stop_reason": words.stop_reason(study.stop_reason),
        "message": study.message,
        "oracle": study.spec.oracle,
        "generator": study.spec.generator.name,
        "optimizer": study.optimizer.name,
        "labels": dict(study.spec.labels),
        "target_count": study.target_count,
        "best_score": words.optional(study, "best_score"),
        "queries_per_target": study.spec.budget.queries_per_target,
        "search_rows": study.accounting.search_rows,
        "oracle_rows": study.accounting.oracle_rows,
        "cost": study.accounting.cost,
        "seconds": study.seconds,
        "create_time": words.time(study.create_time),
        "sequence": study.sequence,
        "generation": study.generation,
        "group": group_of(study_id, groups or {}),
    }


def study(message: pb.Study, groups: dict[str, str] | None = None) -> Document:
    """A whole study; its fields are those of `summary`, except `optimizer`, and more."""
    parameters = structs.from_proto(message.optimizer.parameters)
    shape = list(message.stimulus_shape)
    return summary(message, groups) | {
        "spec": _spec(message.spec),
        "targets": [_target(target) for target in message.targets],
        "accounting": {name: getattr(message.accounting, name) for name in _COUNTS},
        "optimizer": {"name": message.optimizer.name, "parameters": parameters},
        "space": {
            "kind": pb.SpaceKind.Name(message.space.kind).removeprefix("SPACE_KIND_").lower(),
            "dimension": message.space.dimension,
        },
        "stimulus_shape": shape,
        "stimulus_kind": kind_of(shape),
        "population": message.population,
        "warning": message.warning,
        "noisy": message.noisy,
        "units": list(message.units),
        "seed": message.spec.seed,
    }


def _spec(message: pb.StudySpec) -> Document:
    """The specification in the form in which a study is created, except latents of a start: of
    these only the shape is shown.
    """
    latents = message.start.latents
    shape = list(latents.shape) if message.start.HasField("latents") else None
    if shape is not None:
        shortened = pb.StudySpec()
        shortened.CopyFrom(message)
        shortened.ClearField("start")
        message = shortened
    plain: Document = to_plain(specs.study_from_proto(message))
    if shape is not None:
        plain["start"] = {"latents_shape": shape}
    return plain


def _target(message: pb.TargetProgress) -> Document:
    return {
        "target": message.target,
        "title": message.title,
        "finished": message.finished,
        "stop_reason": words.stop_reason(message.stop_reason),
        "queries": message.queries,
        "best_score": words.optional(message, "best_score"),
        "success_row": words.optional(message, "success_row"),
        "natural": standing(message.natural) if message.HasField("natural") else None,
        "recheck": recheck(message.recheck) if message.HasField("recheck") else None,
        "recheck_rows": message.recheck_rows,
    }


def standing(message: pb.Standing) -> Document:
    """The place of a best score among those of natural images."""
    return {
        "images": message.images,
        "best_image": message.best_image,
        "maximum": message.maximum,
        "mean": message.mean,
        "standard_deviation": message.standard_deviation,
        "rank": words.optional(message, "rank"),
        "standardised": words.optional(message, "standardised"),
        "ratio": words.optional(message, "ratio"),
    }


def recheck(message: pb.Recheck) -> Document:
    """The best candidates, measured again."""
    return {
        "source": words.best_source(message.source),
        "row": _estimate(message.row),
        "centre": _estimate(message.centre) if message.HasField("centre") else None,
    }


def _estimate(message: pb.Estimate) -> Document:
    error = words.optional(message, "standard_error")
    return {"mean": message.mean, "standard_error": error, "rows": message.rows}
