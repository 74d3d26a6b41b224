"""Values of the driver protocol in JSON: tensors, numbers, progress, events, errors."""

from __future__ import annotations

import base64
import math
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core import study_events as events
from blackbox_am.core.tensors import from_bytes, to_bytes
from blackbox_am.core.types import Best, GenerationScores, StudyProgress
from blackbox_am.errors import BlackboxError
from blackbox_am.rpc.events import KINDS
from blackbox_am.rpc.status import reason_of

EVENT_FIELDS = {
    "state_changed": ("state", "stop_reason", "message"),
    "generation_opened": ("generation", "candidates"),
    "rows_told": ("generation", "rows", "failed"),
    "generation_closed": (
        "generation",
        "targets",
        "best_scores",
        "mean_scores",
        "best_so_far",
        "total_rows",
    ),
    "resumed": ("generation", "exact"),
}
"""The fields of an event in the protocol, by its kind."""

_NAMES = {kind: name for name, kind in KINDS.items()}


def tensor(array: NDArray[Any] | None) -> dict[str, Any] | None:
    """An array as JSON."""
    if array is None:
        return None
    data = base64.b64encode(to_bytes(array)).decode()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": data}


def array_of(plain: dict[str, Any]) -> NDArray[Any]:
    """The array in JSON."""
    data = base64.b64decode(plain["data"])
    return from_bytes(plain["dtype"], tuple(plain["shape"]), data, field="tensor")


def number(value: float | None) -> float | str | None:
    """A double as JSON, which has no word for nan and infinity."""
    if value is None or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def number_of(plain: float | str) -> float:
    """The double in JSON."""
    return float(plain)


def word(value: Enum | None) -> str:
    """A state or a stop reason."""
    return "" if value is None or value.name == "NONE" else value.name


def progress(found: StudyProgress) -> dict[str, Any]:
    """STUDY of the protocol."""
    return {
        "study_id": found.study_id,
        "state": word(found.state),
        "stop_reason": word(found.stop_reason),
        "message": found.message,
        "sequence": found.sequence,
        "generation": found.generation,
        "search_rows": found.search_rows,
        "failed_rows": found.failed_rows,
        "queries_per_target": found.queries_per_target,
        "targets": [
            {
                "target": target.target,
                "title": target.title,
                "finished": target.finished,
                "stop_reason": word(target.stop_reason),
                "queries": target.queries,
                "best_score": number(target.best_score),
            }
            for target in found.targets
        ],
    }


def best(found: Best) -> dict[str, Any]:
    """The best candidate of one target."""
    return {
        "target": found.target,
        "title": found.title,
        "score": number(found.score),
        "generation": found.candidate.generation,
        "row": found.candidate.row,
        "latent": tensor(found.latent),
        "stimulus": tensor(found.stimulus),
    }


def generation(found: GenerationScores) -> dict[str, Any]:
    """The scores of one generation."""
    return {
        "generation": found.generation,
        "targets": list(found.targets),
        "scores": tensor(found.scores),
    }


def event(found: events.StudyEvent) -> dict[str, Any]:
    """EVENT of the protocol."""
    kind = _NAMES.get(type(found), "")
    plain: dict[str, Any] = {"sequence": found.sequence, "kind": kind}
    if isinstance(found, events.BudgetChanged):
        return plain | {"queries_per_target": found.budget.queries_per_target}
    return plain | {name: _plain(getattr(found, name)) for name in EVENT_FIELDS.get(kind, ())}


def error(found: BlackboxError) -> dict[str, Any]:
    """A typed error."""
    return {
        "kind": type(found).__name__,
        "reason": reason_of(type(found)),
        "message": found.message,
        "field": found.field,
        "retry_after_s": found.retry_after,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return word(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
