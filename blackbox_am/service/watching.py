"""Watching a study: its journal from some event on, then all new events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress

from blackbox_am.errors import InvalidInput, ServerUnavailable
from blackbox_am.rpc import names, times
from blackbox_am.service.backend import Backend
from blackbox_am.service.creating import view
from blackbox_am.service.views import event_to_proto
from blackbox_am.v1 import study_event_pb2, study_pb2
from blackbox_am.v1 import study_service_pb2 as pb

READ_RECORDS = 128
AGAIN_SECONDS = 1.0
"""Seconds after which a watcher can retry when a server stops."""
POLL_SECONDS = 0.5
"""Seconds between two reads of the journal without a change in this process, because another
process may write to it.
"""

_OF_GENERATIONS = frozenset({"generation_opened", "rows_told", "generation_closed"})


async def watch(
    backend: Backend, request: pb.WatchStudyRequest
) -> AsyncGenerator[pb.WatchStudyResponse, None]:
    """The requested updates, until the study ends.

    Raises:
        NotFound: if the study does not exist, or was deleted.
        InvalidInput: for a negative sequence number or interval.
        ServerUnavailable: if the server stops.
    """
    study_id = names.study_id(request.name)
    interval = _interval(request)
    journal = _Journal(backend, study_id, request.after_sequence)
    thinner = _Thinner(interval)
    with backend.changes.listening(study_id) as news:
        if request.snapshot_first:
            study = await backend.in_thread(journal.snapshot)
            yield pb.WatchStudyResponse(study=study)
            if not request.HasField("after_sequence"):
                journal.after = study.sequence
        while True:
            news.clear()
            events = await backend.in_thread(journal.read)
            for event in thinner.thin(events):
                yield pb.WatchStudyResponse(event=event)
            if journal.more:
                continue
            if journal.ended:
                for event in thinner.flush():
                    yield pb.WatchStudyResponse(event=event)
                return
            if backend.changes.closed:
                raise ServerUnavailable(
                    "the server is shutting down; watch again later", retry_after=AGAIN_SECONDS
                )
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), min(POLL_SECONDS, thinner.seconds_left()))
            for event in thinner.due():
                yield pb.WatchStudyResponse(event=event)


def _interval(request: pb.WatchStudyRequest) -> float:
    interval = times.duration_from_proto(request.min_interval)
    for field, value in (("after_sequence", request.after_sequence), ("min_interval", interval)):
        if value < 0:
            raise InvalidInput(f"{field} must be 0 or more, got {value:g}", field=field)
    return interval


class _Journal:
    """Reads a journal in pieces.

    Attributes:
        after: the sequence number of the last event that was read.
        more: whether the last piece had the maximal size.
        ended: whether the study has ended, according to the events that were read.
    """

    def __init__(self, backend: Backend, study_id: str, after: int) -> None:
        self.more = False
        self.ended = False
        self._backend = backend
        self._study_id = study_id
        self.after = after

    def read(self) -> list[study_event_pb2.StudyEvent]:
        """The next events after the sequence number `after`.

        Raises:
            NotFound: if the study does not exist.
        """
        records = self._backend.store.read(self._study_id, self.after, READ_RECORDS)
        events = [event_to_proto(record) for record in records]
        self.more = len(records) == READ_RECORDS
        if events:
            self.after = events[-1].sequence
        if not self.more:
            published = self._backend.registry.published(self._study_id)
            # Another event may have been written after the events that were read.
            caught_up = published.progress.sequence <= self.after
            self.ended = caught_up and not published.progress.state.active
        return events

    def snapshot(self) -> study_pb2.Study:
        """The current study."""
        return view(self._backend, self._study_id)


class _Thinner:
    """Leaves out events of generations that follow each other faster than `interval`.

    The last event is held back until the interval has passed or another event is due.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._held: study_event_pb2.StudyEvent | None = None
        self._next = time.monotonic()

    def thin(
        self, events: list[study_event_pb2.StudyEvent]
    ) -> Iterator[study_event_pb2.StudyEvent]:
        """The events of `events`, in order, that are due now."""
        for event in events:
            if self._interval == 0:
                yield event
            elif event.WhichOneof("event") in _OF_GENERATIONS:
                if not self._tells_more_than(event):
                    self._held = event
                yield from self.due()
            else:
                yield from self.flush()
                yield event

    def _tells_more_than(self, event: study_event_pb2.StudyEvent) -> bool:
        """Whether the held-back event has the results of a generation, and `event` only opens the
        next one.
        """
        return (
            self._held is not None
            and self._held.HasField("generation_closed")
            and event.HasField("generation_opened")
        )

    def due(self) -> Iterator[study_event_pb2.StudyEvent]:
        """Held-back events whose interval has passed."""
        if time.monotonic() >= self._next:
            yield from self.flush()

    def flush(self) -> Iterator[study_event_pb2.StudyEvent]:
        """All held-back events."""
        if self._held is not None:
            yield self._held
            self._held = None
            self._next = time.monotonic() + self._interval

    def seconds_left(self) -> float:
        """Wait until an event is due."""
        return POLL_SECONDS if self._held is None else max(self._next - time.monotonic(), 0.0)
