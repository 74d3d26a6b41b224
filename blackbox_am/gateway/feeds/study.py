"""One study as a feed: its events as they come, and its state from time to time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from blackbox_am.errors import BlackboxError, NotFound, ServerUnavailable
from blackbox_am.gateway.documents import events, studies
from blackbox_am.gateway.feeds.feed import Feed
from blackbox_am.gateway.feeds.mailbox import Message
from blackbox_am.gateway.feeds.server import ServerFeed
from blackbox_am.gateway.upstream import Upstream, pause
from blackbox_am.rpc.names import study_name
from blackbox_am.rpc.times import duration_to_proto
from blackbox_am.v1 import study_pb2
from blackbox_am.v1 import study_service_pb2 as pb

EVENT_SECONDS = 0.1
"""Least seconds between two generations that readers are told."""
TARGETS_A_SECOND = 2000.0
"""Targets x generations that readers are told in a second."""
STATE_SECONDS = 1.0
"""Least seconds between two messages with the whole study."""
ENDED_SECONDS = 5.0
"""Seconds between two looks at an ended study, which goes on when its budget is raised, and at one
that cannot be read.
"""
MISSING_SECONDS = 1.0
"""Seconds between two looks at a study that does not exist (yet)."""
AWAY_SECONDS = 2.0
"""Longest wait for a server that is away before the next attempt."""

Groups = Callable[[], dict[str, str]]


class StudyFeed(Feed):
    """Watches one study for all readers.

    Args:
        upstream: the connection.
        study_id: the study.
        server: tells when the server is back.
        groups: function that returns the group of each study that belongs to one.
        on_idle: as of `Feed`.

    Attributes:
        begun: set once `position` is known, or the study was not found or cannot be read.
        position: number of the last event that readers were told.
    """

    def __init__(
        self,
        upstream: Upstream,
        study_id: str,
        server: ServerFeed,
        groups: Groups,
        on_idle: Callable[[], None],
    ) -> None:
        super().__init__(study_id, on_idle)
        self.begun = asyncio.Event()
        self.position: int | None = None
        self._upstream = upstream
        self._server = server
        self._groups = groups
        self._told: int | None = None
        self._problem = ""
        self._poked = asyncio.Event()
        self._told_at = 0.0
        self._targets = 1

    async def run(self) -> None:
        """See `Feed.run`."""
        while True:
            try:
                await self._watch()
                await self._while_ended()
            except NotFound as error:
                self._tell_deleted(error.message)
                self.begun.set()
                await pause(self._poked, MISSING_SECONDS)
                self._poked.clear()
            except ServerUnavailable as error:
                self._server.lost(error.message)
                await pause(self._server.back, AWAY_SECONDS)
            except BlackboxError as error:
                self._tell_problem(error.message)
                await pause(self._poked, ENDED_SECONDS)
                self._poked.clear()

    def poke(self) -> None:
        """Looks at an ended study at once: it was changed."""
        self._poked.set()

    async def study(self) -> study_pb2.Study:
        """The study as it stands.

        Raises:
            NotFound: if it does not exist.
            ServerUnavailable: if the server is away.
        """
        request = pb.GetStudyRequest(name=study_name(self.source))
        answer = await self._upstream.call(self._upstream.studies.GetStudy, request)
        found: study_pb2.Study = answer.study
        return found

    def snapshot(self, study: study_pb2.Study) -> Message:
        """The message that tells the whole study."""
        return Message.of("study", studies.study(study, self._groups()), self.source)

    async def _watch(self) -> None:
        """Tells the events after `position` until the study ends."""
        study = await self.study()
        self._targets = max(study.target_count, 1)
        if self.position is not None and self.position > study.sequence:
            self._tell_deleted("the study was deleted, and another of the same id was created")
        if self.position is None:
            self.position = study.sequence
            if self._problem:  # readers may know an earlier event than this one
                self.send_again()
        self._problem = ""
        self.begun.set()
        self._tell_state(study)
        interval = max(EVENT_SECONDS, self._targets / TARGETS_A_SECOND)
        request = pb.WatchStudyRequest(
            name=study_name(self.source),
            after_sequence=self.position,
            min_interval=duration_to_proto(interval, "min_interval"),
        )
        stream = self._upstream.stream(self._upstream.studies.WatchStudy, request)
        paced = _with_pauses(stream, STATE_SECONDS)
        # `paced` is closed first: it ends the reading of `stream`, which can be closed only then.
        async with aclosing(stream), aclosing(paced) as answers:
            async for answer in answers:
                if answer is not None:
                    self._tell(answer.event)
                await self._tell_news(ended=False)
        await self._tell_news(ended=True)

    async def _while_ended(self) -> None:
        """Returns when the study goes on."""
        while True:
            await pause(self._poked, ENDED_SECONDS)
            self._poked.clear()
            study = await self.study()
            if study.sequence != self.position:
                return

    def _tell(self, event: Any) -> None:
        self.position = event.sequence
        found = events.live(self.source, event)
        if found is not None:
            self.send(Message.of(*found, self.source, event.sequence))
        if event.WhichOneof("event") in ("state_changed", "budget_changed", "best_rechecked"):
            self._told_at = 0.0  # the whole study is told at once

    def _tell_deleted(self, why: str) -> None:
        if self.position is not None:
            self.position = self._told = None
            self.send(Message.of("deleted", self._content(why), self.source))

    def _tell_problem(self, why: str) -> None:
        """Tells once why the study cannot be read; before `begun`, each reader asks for itself."""
        if self.begun.is_set() and why != self._problem:
            self.send(Message.of("problem", self._content(why), self.source))
        self._problem = why
        self.begun.set()

    def _content(self, why: str) -> dict[str, Any]:
        return {"study": self.source, "message": why}

    async def _tell_news(self, *, ended: bool) -> None:
        """Tells the whole study if events came since it was told, and some time has passed."""
        due = time.monotonic() - self._told_at > max(STATE_SECONDS, self._targets / 500)
        if self._told != self.position and (due or ended):
            self._tell_state(await self.study())

    def _tell_state(self, study: study_pb2.Study) -> None:
        self._told, self._told_at = self.position, time.monotonic()
        self.send(self.snapshot(study))


async def _with_pauses(stream: AsyncIterator[Any], seconds: float) -> AsyncGenerator[Any]:
    """The items of a stream, and None each time that nothing comes for `seconds`."""
    following = asyncio.ensure_future(anext(stream, _END))
    try:
        while True:
            done, _ = await asyncio.wait([following], timeout=seconds)
            if not done:
                yield None
                continue
            item = following.result()
            if item is _END:
                return
            yield item
            following = asyncio.ensure_future(anext(stream, _END))
    finally:
        following.cancel()
        await asyncio.wait([following])


_END: Any = object()
