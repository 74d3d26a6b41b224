"""One reader of a stream: what it has been told, and what comes next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress

from blackbox_am.errors import BlackboxError, NotFound, ServerUnavailable
from blackbox_am.gateway.feeds.catching_up import missed
from blackbox_am.gateway.feeds.hub import Hub
from blackbox_am.gateway.feeds.listing import LISTING
from blackbox_am.gateway.feeds.mailbox import Mailbox, Message
from blackbox_am.gateway.feeds.server import SERVER
from blackbox_am.gateway.feeds.study import StudyFeed
from blackbox_am.gateway.upstream import Upstream, pause

PING_SECONDS = 15.0
"""Seconds without a message after which a comment shows that the stream is alive."""
AWAY_SECONDS = 2.0
AT_ONCE = 4
"""Number of studies that a reader catches up with at the same time."""
RETRY = b"retry: 1000\n\n"
PING = b": ping\n\n"

CaughtUp = tuple[int | None, list[Message]]
"""Number of the last event that the reader then knows (None for none), and what it is told."""


class Session:
    """The stream of one reader.

    The id of each message holds the number of the last told event of each study, `a=12;b=40`. A
    reader that comes back with it is told what it missed. A study that is read slowly, or cannot be
    read, does not keep the reader from the others.

    Args:
        hub: the feeds.
        upstream: the connection.
        sources: ids of studies, and `*list` for the list of all studies.
        known: number of the last event of each study that the reader knows.
    """

    def __init__(
        self, hub: Hub, upstream: Upstream, sources: list[str], known: dict[str, int]
    ) -> None:
        self._hub = hub
        self._upstream = upstream
        self._listing = LISTING in sources
        self._studies = [source for source in sources if source != LISTING]
        self._known = {study: known[study] for study in self._studies if study in known}
        self._mailbox = Mailbox()
        self._catching_up: dict[str, asyncio.Task[CaughtUp]] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def stream(self) -> AsyncIterator[bytes]:
        """The messages as server-sent events, until the gateway ends."""
        feeds = {study_id: self._hub.study(study_id) for study_id in self._studies}
        joined = [self._hub.server, *feeds.values()]
        if self._listing:
            joined.append(self._hub.listing)
        for feed in joined:
            feed.join(self._mailbox)
        try:
            yield RETRY
            if not await pause(self._hub.server.known, AWAY_SECONDS):
                yield self._event(self._hub.server.message())
            for feed in feeds.values():
                self._catch_up(feed)
            while not self._mailbox.closed:
                self._recover(feeds)
                for message in self._ready():
                    yield self._event(message)
                if not await self._news():
                    yield PING
        finally:
            for task in self._catching_up.values():
                task.cancel()
            for feed in joined:
                feed.leave(self._mailbox)

    def _ready(self) -> Iterator[Message]:
        """The messages that can be told now."""
        for study_id, task in list(self._catching_up.items()):
            if task.done():
                del self._catching_up[study_id]
                known, messages = task.result()
                if known is None:
                    self._known.pop(study_id, None)
                else:
                    self._known[study_id] = known
                yield from messages
        # News of a study come after what its reader has missed.
        while (message := self._mailbox.take(self._catching_up)) is not None:
            if self._is_news(message):
                yield message

    async def _news(self) -> bool:
        """Waits until there may be something to tell; false if a ping is due before."""
        waiting = asyncio.ensure_future(self._mailbox.news.wait())
        try:
            done, _ = await asyncio.wait(
                [waiting, *self._catching_up.values()],
                timeout=PING_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            waiting.cancel()
        return bool(done)

    def _recover(self, feeds: Mapping[str, StudyFeed]) -> None:
        """Has lost messages told again."""
        for source in self._mailbox.behind():
            if source in feeds:
                self._catch_up(feeds[source])
            elif source == LISTING:
                self._hub.listing.tell_all(self._mailbox)
            elif source == SERVER:
                self._mailbox.put(self._hub.server.message())

    def _is_news(self, message: Message) -> bool:
        if message.kind == "deleted":
            self._known.pop(message.source, None)
        return message.sequence is None or message.sequence > self._known.get(message.source, 0)

    def _catch_up(self, feed: StudyFeed) -> None:
        before = self._catching_up.pop(feed.source, None)
        if before is not None:
            before.cancel()
        self._catching_up[feed.source] = asyncio.create_task(self._caught_up(feed))

    async def _caught_up(self, feed: StudyFeed) -> CaughtUp:
        """What the reader missed of a study, and its present state; waits for the server."""
        known = self._known.get(feed.source)
        while True:
            await feed.begun.wait()
            async with self._turn:
                try:
                    study = await feed.study()
                    found = []
                    if known is not None and known < study.sequence:
                        found = await missed(self._upstream, study, known)
                except ServerUnavailable as error:
                    self._hub.server.lost(error.message)
                except NotFound as error:
                    return None, [_said("deleted", feed.source, error)]
                except BlackboxError as error:
                    return known, [_said("problem", feed.source, error)]
                else:
                    return study.sequence, [*found, feed.snapshot(study)]
            await pause(self._hub.server.back, AWAY_SECONDS)

    def _event(self, message: Message) -> bytes:
        """The message as a server-sent event."""
        if message.sequence is not None:
            self._known[message.source] = message.sequence
        known = ";".join(f"{study}={number}" for study, number in self._known.items())
        head = (f"id: {known}\n" if known else "") + f"event: {message.kind}\ndata: "
        return head.encode() + message.data + b"\n\n"


def _said(kind: str, study_id: str, error: BlackboxError) -> Message:
    return Message.of(kind, {"study": study_id, "message": error.message}, study_id)


def read_last_id(text: str) -> dict[str, int]:
    """The numbers in an id of a message; parts that are not of this form are ignored."""
    found = {}
    for part in text.split(";"):
        study_id, separator, number = part.strip().partition("=")
        with suppress(ValueError):
            if separator and number.isascii() and number.isdigit() and len(number) < 19:
                found[study_id] = int(number)
    return found
