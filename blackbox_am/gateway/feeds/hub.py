"""All feeds of a gateway, each made when its first reader comes."""

from __future__ import annotations

from blackbox_am.gateway.feeds.listing import ListingFeed
from blackbox_am.gateway.feeds.server import ServerFeed
from blackbox_am.gateway.feeds.study import StudyFeed
from blackbox_am.gateway.groups import GroupIndex
from blackbox_am.gateway.upstream import Upstream


class Hub:
    """The feeds.

    Args:
        upstream: the connection.
        groups: the groups of studies.

    Attributes:
        server: whether the server is there.
        listing: the list of all studies.
    """

    def __init__(self, upstream: Upstream, groups: GroupIndex) -> None:
        self._upstream = upstream
        self._groups = groups
        self.server = ServerFeed(upstream)
        self.listing = ListingFeed(upstream, self.server, groups)
        self._studies: dict[str, StudyFeed] = {}

    @property
    def streams(self) -> int:
        """Number of open streams."""
        return self.server.readers

    @property
    def watched(self) -> int:
        """Number of studies that are watched now."""
        return len(self._studies)

    def study(self, study_id: str) -> StudyFeed:
        """The feed of a study."""
        feed = self._studies.get(study_id)
        if feed is None:
            feed = StudyFeed(
                self._upstream,
                study_id,
                self.server,
                lambda: self._groups.known,
                lambda: self._forget(study_id),
            )
            self._studies[study_id] = feed
        return feed

    def poke(self, study_id: str) -> None:
        """Tells the feed of a study, if there is one, that the study was changed."""
        if study_id in self._studies:
            self._studies[study_id].poke()

    def close(self) -> None:
        """Ends all streams."""
        self.server.close()

    def _forget(self, study_id: str) -> None:
        self._studies.pop(study_id, None)
