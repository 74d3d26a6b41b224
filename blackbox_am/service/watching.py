"""Watching a study: its journal from some event on, then what is added to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress

from blackbox_am.errors import InvalidInput, ServerUnavailable
from blackbox_am.rpc import names
from blackbox_am.service.backend import Backend
from blackbox_am.service.views import Narrator, study_to_proto
from blackbox_am.v1 import study_pb2
from blackbox_am.v1 import study_service_pb2 as pb

READ_RECORDS = 128
POLL_SECONDS = 2.0
"""How often the journal is looked at without news: another process may write to it."""

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
    """

    def __init__(self, backend: Backend, study_id: str, after: int) -> None:
        self.more = False
        self._store = backend.store
        self._study_id = study_id
        self._after = after
        self._narrator = Narrator()

    @property
    def ended(self) -> bool:
        """Whether the study has ended, as far as the journal was read."""
        study = self._narrator.study
        return study is not None and not study.state.active

    def read(self) -> list[study_pb2.StudyEvent]:
        """The next events, after the sequence number that was asked for.

        Raises:
            NotFound: where there is no such study.
        """
        records = self._store.read(self._study_id, self._narrator.sequence, READ_RECORDS)
        events = [self._narrator.tell(record) for record in records]
        self.more = len(records) == READ_RECORDS
        return [event for event in events if event.sequence > self._after]

    def snapshot(self) -> study_pb2.Study:
        """Reads all there is; the study as it stands then."""
        self.read()
        while self.more:
            self.read()
        study = self._narrator.study
        assert study is not None  # a journal that can be read is not empty
        self._after = study.sequence
        return study_to_proto(self._study_id, study, self._narrator.created_at)


class _Thinner:
    """Passes over events of generations that follow each other faster than `interval`.

    The last one is held back until the interval is over, or something else is to be told.
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
