"""Which study belongs to which group, read from the server now and then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from blackbox_am.gateway.documents.groups import members_of
from blackbox_am.gateway.upstream import Upstream
from blackbox_am.v1 import group_service_pb2 as pb
from blackbox_am.v1 import study_pb2

FRESH_SECONDS = 5.0
"""Seconds for which a list of groups is used."""
LEAST_SECONDS = 0.5
"""Least seconds between two readings, because a study is newer than the list."""


class GroupIndex:
    """The group of each study. The list is read again when it is older than a few seconds.

    Args:
        upstream: the connection.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._members: dict[str, str] = {}
        self._read_at = -FRESH_SECONDS
        self._reading = asyncio.Lock()

    @property
    def known(self) -> dict[str, str]:
        """The group of each study that belonged to one at the last reading."""
        return self._members

    async def members(self, studies: Iterable[study_pb2.Study] = ()) -> dict[str, str]:
        """The group of each study that belongs to one.

        Args:
            studies: the studies of interest; a list that is older than one of them is read again.

        Raises:
            BlackboxError: the server's error.
        """
        async with self._reading:
            age = time.monotonic() - self._read_at
            newest = max((study.create_time.ToNanoseconds() / 1e9 for study in studies), default=0)
            if age >= (LEAST_SECONDS if newest >= time.time() - age else FRESH_SECONDS):
                self._read_at = time.monotonic()
                self._members = members_of(await self.all())
        return self._members

    async def all(self) -> list[pb.Group]:
        """All groups with their members.

        Raises:
            BlackboxError: the server's error.
        """
        found: list[pb.Group] = []
        token = ""
        while True:
            request = pb.ListGroupsRequest(page_size=1000, page_token=token)
            answer = await self._upstream.call(self._upstream.groups.ListGroups, request)
            found += answer.groups
            token = answer.next_page_token
            if not token:
                return found
