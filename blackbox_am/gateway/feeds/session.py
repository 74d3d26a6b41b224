"""One reader of a stream: what it has been told, and what comes next."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

from blackbox_am.errors import NotFound, ServerUnavailable
from blackbox_am.gateway.answers import encoded
from blackbox_am.gateway.feeds.catching_up import missed
from blackbox_am.gateway.feeds.hub import Hub
from blackbox_am.gateway.feeds.listing import LISTING
from blackbox_am.gateway.feeds.mailbox import CLOSING, Mailbox, Message
from blackbox_am.gateway.feeds.study import StudyFeed
from blackbox_am.gateway.upstream import Upstream, pause

PING_SECONDS = 15.0
"""Seconds without a message after which a comment shows that the stream is alive."""
AWAY_SECONDS = 2.0
RETRY = b"retry: 1000\n\n"
PING = b": ping\n\n"
CLOSED = b""


class Session:
    """The stream of one reader.

    The id of each message holds the number of the last told event of each study, `a=12;b=40`. A
    reader that comes back with it is told what it missed.

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
        self._waiting = list(self._studies)  # studies whose present state was not told yet

    async def stream(self) -> AsyncIterator[bytes]:
        """The messages as server-sent events, without end."""
        feeds = {study_id: self._hub.study(study_id) for study_id in self._studies}
        joined = [self._hub.server, *feeds.values()]
        if self._listing:
            joined.append(self._hub.listing)
        for feed in joined:
            feed.join(self._mailbox)
        try:
            yield RETRY
            await pause(self._hub.server.known, AWAY_SECONDS)
            yield self._event(self._hub.server.message())
            while True:
                self._recover(feeds)
                while self._waiting:
                    async for message in self._caught_up(feeds[self._waiting[0]]):
                        yield self._event(message)
                    self._waiting.pop(0)
                async for part in self._following():
                    if part is CLOSED:
                        return
                    yield part
        finally:
            for feed in joined:
                feed.leave(self._mailbox)

    async def _following(self) -> AsyncIterator[bytes]:
        """The messages that wait; a ping if none comes for a while."""
        message = self._mailbox.take()
        if message is None:
            if not await self._mailbox.wait(PING_SECONDS):
                yield PING
            return
        while message is not None:
            if message.kind == CLOSING:
                yield CLOSED
            if self._is_news(message):
                yield self._event(message)
            message = self._mailbox.take()

    def _recover(self, feeds: Mapping[str, StudyFeed]) -> None:
        """Has lost messages told again."""
        for source in self._mailbox.behind():
            if source in feeds:
                self._waiting.append(source)
            elif source == LISTING:
                self._hub.listing.tell_all(self._mailbox)

    def _is_news(self, message: Message) -> bool:
        if message.kind == "deleted":
            self._known.pop(message.source, None)
        return message.sequence is None or message.sequence > self._known.get(message.source, 0)

    async def _caught_up(self, feed: StudyFeed) -> AsyncIterator[Message]:
        """What the reader missed of a study, and its present state; waits for the server."""
        while True:
            while not await pause(feed.begun, AWAY_SECONDS):
                yield self._hub.server.message()
            known = self._known.get(feed.source)
            try:
                study = await feed.study()
                if known is not None and known < study.sequence:
                    for message in await missed(self._upstream, study, known):
                        yield message
            except ServerUnavailable as error:
                self._hub.server.lost(error.message)
                yield self._hub.server.message()
                await pause(self._hub.server.back, AWAY_SECONDS)
                continue
            except NotFound as error:
                content = {"study": feed.source, "message": error.message}
                yield Message("deleted", content, feed.source)
                return
            self._known[feed.source] = study.sequence
            yield feed.snapshot(study)
            return

    def _event(self, message: Message) -> bytes:
        """The message as a server-sent event."""
        if message.sequence is not None:
            self._known[message.source] = message.sequence
        known = ";".join(f"{study}={number}" for study, number in self._known.items())
        head = (f"id: {known}\n" if known else "") + f"event: {message.kind}\ndata: "
        return head.encode() + encoded(message.content) + b"\n\n"


def read_last_id(text: str) -> dict[str, int]:
    """The numbers in an id of a message; parts that are not of this form are ignored."""
    found = {}
    for part in text.split(";"):
        study_id, separator, number = part.strip().partition("=")
        with suppress(ValueError):
            if separator and number.isascii() and number.isdigit() and len(number) < 19:
                found[study_id] = int(number)
    return found
