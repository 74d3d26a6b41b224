"""Events of studies as JSON: one form for live streams, one in words for logs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from blackbox_am.gateway.documents import words
from blackbox_am.v1 import study_event_pb2 as pb

Document = dict[str, Any]

LIVE = {
    "generation_closed": "generation",
    "state_changed": "state",
    "best_rechecked": "rechecked",
}
"""The type of a message of a stream for each kind of event; others are notes, or are left out."""
SILENT = frozenset({"generation_opened", "rows_told", None})
"""Kinds of events that a stream leaves out: the results come with the end of the generation. An
event of a newer server has no kind.
"""


def live(study_id: str, event: pb.StudyEvent) -> tuple[str, Document] | None:
    """The type and content of the message for an event; None if a stream leaves it out."""
    kind = event.WhichOneof("event")
    if kind in SILENT:
        return None
    common = {"study": study_id, "sequence": event.sequence}
    name = LIVE.get(str(kind), "note")
    return name, common | _CONTENTS[name](event)


def logged(event: pb.StudyEvent) -> Document:
    """An event in words."""
    kind = event.WhichOneof("event")
    return {
        "sequence": event.sequence,
        "time": words.time(event.time),
        "kind": kind or "unknown",
        "text": text(event),
    }


def text(event: pb.StudyEvent) -> str:
    """What happened, in one sentence."""
    kind = event.WhichOneof("event")
    return "something that this version does not know" if kind is None else _TEXTS[kind](event)


def generation(
    number: int,
    rows: int,
    targets: list[int],
    best_scores: list[float],
    mean_scores: list[float],
    best_so_far: list[float],
) -> Document:
    """The content of a message about a closed generation.

    Args:
        number: of the generation.
        rows: rows that the search measured so far.
        targets: the targets that took part; the lists have one entry for each.
        best_scores, mean_scores: of the generation.
        best_so_far: of all generations so far.
    """
    return {
        "generation": number,
        "rows": rows,
        "targets": targets,
        "best_scores": best_scores,
        "mean_scores": mean_scores,
        "best_so_far": best_so_far,
    }


def _generation(event: pb.StudyEvent) -> Document:
    closed = event.generation_closed
    return generation(
        closed.generation,
        closed.search_rows,
        list(closed.targets),
        list(closed.best_scores),
        list(closed.mean_scores),
        list(closed.best_so_far),
    )


def _state(event: pb.StudyEvent) -> Document:
    changed = event.state_changed
    return {
        "state": words.state(changed.state),
        "stop_reason": words.stop_reason(changed.stop_reason),
        "message": changed.message,
    }


def _rechecked(event: pb.StudyEvent) -> Document:
    found = event.best_rechecked
    return {
        "generation": found.generation,
        "targets": list(found.targets),
        "best_scores": list(found.best_scores),
        "standard_errors": list(found.standard_errors),
        "total_rows": found.total_rows,
    }


def _note(event: pb.StudyEvent) -> Document:
    return {"text": text(event)}


_CONTENTS: dict[str, Callable[[pb.StudyEvent], Document]] = {
    "generation": _generation,
    "state": _state,
    "rechecked": _rechecked,
    "note": _note,
}


def _state_text(event: pb.StudyEvent) -> str:
    changed = event.state_changed
    reason = words.stop_reason(changed.stop_reason)
    found = words.state(changed.state) + (f" ({reason})" if reason else "")
    return found + (f": {changed.message}" if changed.message else "")


def _closed_text(event: pb.StudyEvent) -> str:
    closed = event.generation_closed
    known = [score for score in closed.best_so_far if score == score]  # not nan
    best = f", best score so far {max(known):.6g}" if known else ""
    return f"generation {closed.generation} closed with {closed.total_rows} rows{best}"


def _budget_text(event: pb.StudyEvent) -> str:
    return f"the budget was raised to {event.budget_changed.budget.queries_per_target} queries"


def _resumed_text(event: pb.StudyEvent) -> str:
    resumed = event.resumed
    loss = resumed.message or ("nothing was lost" if resumed.exact else "its exact state was lost")
    return f"a server resumed the study at generation {resumed.generation}: {loss}"


def _adopted_text(event: pb.StudyEvent) -> str:
    return f"another model or generator was adopted: {event.adopted.message}"


_TEXTS: dict[str, Callable[[pb.StudyEvent], str]] = {
    "created": lambda event: "the study was created",
    "state_changed": _state_text,
    "generation_opened": lambda event: (
        f"generation {event.generation_opened.generation} was handed out: "
        f"{event.generation_opened.candidates} candidates"
    ),
    "rows_told": lambda event: (
        f"{event.rows_told.rows} rows of generation {event.rows_told.generation} were measured, "
        f"{event.rows_told.failed} of them failed"
    ),
    "generation_closed": _closed_text,
    "budget_changed": _budget_text,
    "resumed": _resumed_text,
    "adopted": _adopted_text,
    "baseline_measured": lambda event: (
        f"{event.baseline_measured.images} natural images were measured"
    ),
    "best_rechecked": lambda event: (
        f"the best candidates were measured again with {event.best_rechecked.total_rows} rows"
    ),
}
