"""The list of all studies as a feed: the rows that changed since the last look."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from blackbox_am.errors import BlackboxError, ServerUnavailable
from blackbox_am.gateway.documents import studies
from blackbox_am.gateway.feeds.feed import Feed
from blackbox_am.gateway.feeds.mailbox import Mailbox, Message
from blackbox_am.gateway.feeds.server import ServerFeed
from blackbox_am.gateway.groups import GroupIndex
from blackbox_am.gateway.upstream import Upstream, pause
from blackbox_am.v1 import study_service_pb2 as pb

LISTING = "*list"
LOOK_SECONDS = 1.0
"""Least seconds between two looks; ten times the duration of a look if that is longer."""
ROWS = 200
"""Number of studies in one message."""
AWAY_SECONDS = 2.0

Document = dict[str, Any]


class ListingFeed(Feed):
    """Looks at the list of studies while somebody reads it.

    A new reader gets all rows first; the first message has `reset` set.

    Args:
        upstream: the connection.
        server: tells when the server is back.
        groups: the groups of studies.
    """

    def __init__(self, upstream: Upstream, server: ServerFeed, groups: GroupIndex) -> None:
        super().__init__(LISTING)
        self._upstream = upstream
        self._server = server
        self._groups = groups
        self._rows: dict[str, Document] | None = None

    def join(self, mailbox: Mailbox) -> None:
        """See `Feed.join`."""
        if not self._readers:
            self._rows = None
        self.tell_all(mailbox)
        super().join(mailbox)

    def tell_all(self, mailbox: Mailbox) -> None:
        """Tells a reader all rows, if they are known."""
        if self._rows is not None:
            for message in _messages(list(self._rows.values()), [], reset=True):
                mailbox.put(message)

    async def run(self) -> None:
        """See `Feed.run`."""
        while True:
            started = time.monotonic()
            try:
                self._tell(await self._look())
            except ServerUnavailable as error:
                self._server.lost(error.message)
                await pause(self._server.back, AWAY_SECONDS)
                continue
            except BlackboxError as error:
                self.send(Message.of("problem", {"message": error.message}, LISTING))
            await asyncio.sleep(max(LOOK_SECONDS, 10 * (time.monotonic() - started)))

    async def _look(self) -> dict[str, Document]:
        groups, found, token = await self._groups.members(), {}, ""
        while True:
            request = pb.ListStudiesRequest(page_size=1000, page_token=token)
            answer = await self._upstream.call(self._upstream.studies.ListStudies, request)
            for study in answer.studies:
                row = studies.summary(study, groups)
                found[row["id"]] = row
            token = answer.next_page_token
            if not token:
                return found

    def _tell(self, rows: dict[str, Document]) -> None:
        before, self._rows = self._rows, rows
        if before is None:
            changed, deleted = list(rows.values()), []
        else:
            changed = [row for study_id, row in rows.items() if before.get(study_id) != row]
            deleted = [study_id for study_id in before if study_id not in rows]
        if changed or deleted or before is None:
            for message in _messages(changed, deleted, reset=before is None):
                self.send(message)


def _messages(changed: list[Document], deleted: list[str], *, reset: bool) -> list[Message]:
    """The messages about changed and deleted rows; the first says whether to forget older rows."""
    found = []
    for start in range(0, max(len(changed), 1), ROWS):
        first = not start
        content = {
            "studies": changed[start : start + ROWS],
            "deleted": deleted if first else [],
            "reset": reset and first,
        }
        found.append(Message.of("listing", content, LISTING))
    return found
