"""The history of a study for plots and logs: curves, events, and best candidates of the past."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from blackbox_am.core.types import Best
from blackbox_am.errors import InvalidInput
from blackbox_am.rpc import names, pages, tensors
from blackbox_am.service.backend import Backend
from blackbox_am.service.fields import check_targets
from blackbox_am.service.views import event_to_proto
from blackbox_am.studies import history
from blackbox_am.studies.events import GenerationClosed, GenerationOpened, RowsTold, kind_of
from blackbox_am.v1 import study_event_pb2
from blackbox_am.v1 import study_service_pb2 as pb

MAX_GENERATIONS = 10_000
DEFAULT_GENERATIONS = 400
MAX_POINTS = 120_000
"""Largest number of targets x generations of an answer, which has 24 bytes for each."""
PAGE_OF_EVENTS = 100

_OF_GENERATIONS = [kind_of(kind) for kind in (GenerationOpened, RowsTold, GenerationClosed)]


def curves(backend: Backend, request: pb.GetCurvesRequest) -> pb.GetCurvesResponse:
    """The course of a search, thinned.

    Raises:
        NotFound: if the study does not exist.
        InvalidInput: for targets that it does not have, or too many points.
    """
    study_id = names.study_id(request.name)
    known = len(backend.registry.published(study_id).created.spec.targets)
    check_targets(request.targets, known)
    targets = sorted(set(request.targets)) or list(range(known))
    count = request.max_generations or DEFAULT_GENERATIONS
    if not 2 <= count <= MAX_GENERATIONS:
        raise InvalidInput(
            f"max_generations must be 2 to {MAX_GENERATIONS}, got {count}", field="max_generations"
        )
    if count * len(targets) > MAX_POINTS:
        raise InvalidInput(
            f"{len(targets)} targets x {count} generations are more than {MAX_POINTS} points; ask "
            "for fewer generations, or for some of the targets at a time",
            field="targets",
        )
    after = _number(request.after_sequence, "after_sequence")
    found = history.curves(backend.store, study_id, targets, count, after)
    return pb.GetCurvesResponse(
        generations=found.generations,
        search_rows=found.search_rows,
        targets=found.targets,
        best_so_far=tensors.to_proto(found.best_so_far),
        mean_scores=tensors.to_proto(found.mean_scores),
        closed_generations=found.closed_generations,
        best_scores=tensors.to_proto(found.best_scores),
        sequences=found.sequences,
    )


def events(backend: Backend, request: pb.ListEventsRequest) -> pb.ListEventsResponse:
    """Events, the newest first.

    Raises:
        NotFound: if the study does not exist.
        InvalidInput: for a wrong page token or size.
    """
    study_id = names.study_id(request.name)
    scope = f"events:{study_id}:{request.with_generations}"
    before = int(pages.decode(request.page_token, scope, 0))
    size = pages.page_size(request.page_size, PAGE_OF_EVENTS)
    left_out = [] if request.with_generations else _OF_GENERATIONS
    places = backend.store.places(study_id, left_out, excluded=True)
    chosen = [place for place in places if not before or place < before][-size - 1 :]
    records = backend.store.read_at(study_id, chosen)

    def entries() -> Iterator[tuple[int, study_event_pb2.StudyEvent]]:
        for record in reversed(records):
            yield record.sequence, event_to_proto(record)

    page, token = pages.fill(entries(), size, scope)
    return pb.ListEventsResponse(events=page, next_page_token=token)


def best_after(
    backend: Backend, request: pb.GetBestRequest, study_id: str, targets: Collection[int]
) -> list[Best]:
    """The best candidates as they stood when the generation of the request was closed.

    Raises:
        InvalidInput: for a negative generation.
    """
    generation = _number(request.generation, "generation")
    study = backend.registry.load(study_id)
    return history.best_after(backend.store, study_id, study, list(targets), generation)


def _number(number: int, field: str) -> int:
    if number < 0:
        raise InvalidInput(f"{field} must be 0 or more, got {number}", field=field)
    return number
