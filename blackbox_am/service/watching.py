"""Watching a study: its journal from some event on, then what is added to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress

from blackbox_am.errors import InvalidInput, ServerUnavailable
from blackbox_am.rpc import names
from blackbox_am.service.backend import Backend
from blackbox_am.service.views import event_to_proto, study_to_proto
from blackbox_am.v1 import study_pb2
from blackbox_am.v1 import study_service_pb2 as pb

READ_RECORDS = 128
POLL_SECONDS = 0.5
"""How often the journal is read without news in this process: another may write to it."""

_OF_GENERATIONS = frozenset({"generation_opened", "rows_told", "generation_closed"})


async def watch(
    backend: Backend, request: pb.WatchStudyRequest
) -> AsyncGenerator[pb.WatchStudyResponse, None]:
    """The updates that `request` asks for, until the study ends.

    Raises:
        NotFound: where there is no such study, or no more.
        InvalidInput: for a negative sequence number or interval.
        ServerUnavailable: where the server goes down.
    """
    study_id = names.study_id(request.name)
    interval = request.min_interval.seconds + request.min_interval.nanos / 1e9
    if interval < 0 or request.after_sequence < 0:
        raise InvalidInput("after_sequence and min_interval must be 0 or more")
    journal = _Journal(backend, study_id, request.after_sequence)
    thinner = _Thinner(interval)
    with backend.changes.listening(study_id) as news:
        if request.snapshot_first:
            yield pb.WatchStudyResponse(study=await backend.in_thread(journal.snapshot))
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
                raise ServerUnavailable("the server is shutting down; watch again later")
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), min(POLL_SECONDS, thinner.seconds_left()))
            for event in thinner.due():
                yield pb.WatchStudyResponse(event=event)


class _Journal:
    """Reads a journal on, piece by piece.

    Attributes:
        more: whether the last piece was a full one.
        ended: whether the study has ended, as far as the journal was read.
    """

    def __init__(self, backend: Backend, study_id: str, after: int) -> None:
        self.more = False
        self.ended = False
        self._backend = backend
        self._study_id = study_id
        self._after = after

    def read(self) -> list[study_pb2.StudyEvent]:
        """The next events, after the sequence number that was asked for.

        Raises:
            NotFound: where there is no such study.
        """
        records = self._backend.store.read(self._study_id, self._after, READ_RECORDS)
        events = [event_to_proto(record) for record in records]
        self.more = len(records) == READ_RECORDS
        if events:
            self._after = events[-1].sequence
        if not self.more:
            published = self._backend.registry.published(self._study_id)
            # An event may have come after those that were read.
            caught_up = published.progress.sequence <= self._after
            self.ended = caught_up and not published.progress.state.active
        return events

    def snapshot(self) -> study_pb2.Study:
        """The study as it stands; events are read on from there."""
        published = self._backend.registry.published(self._study_id)
        self._after = published.progress.sequence
        return study_to_proto(self._study_id, published)


class _Thinner:
    """Leaves out events of generations that follow each other faster than `interval`.

    The last one is held back until the interval is over, or until another event is due.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._held: study_pb2.StudyEvent | None = None
        self._next = time.monotonic()

    def thin(self, events: list[study_pb2.StudyEvent]) -> Iterator[study_pb2.StudyEvent]:
        """Those of `events`, in order, that are to be sent now."""
        for event in events:
            if self._interval == 0:
                yield event
            elif event.WhichOneof("event") in _OF_GENERATIONS:
                self._held = event
                yield from self.due()
            else:
                yield from self.flush()
                yield event

    def due(self) -> Iterator[study_pb2.StudyEvent]:
        """What was held back long enough."""
        if time.monotonic() >= self._next:
            yield from self.flush()

    def flush(self) -> Iterator[study_pb2.StudyEvent]:
        """What was held back, now."""
        if self._held is not None:
            yield self._held
            self._held = None
            self._next = time.monotonic() + self._interval

    def seconds_left(self) -> float:
        """Until something is due."""
        return POLL_SECONDS if self._held is None else max(self._next - time.monotonic(), 0.0)
