"""What the endpoints share: settings, the connection to the server, feeds, and kept pictures."""

from __future__ import annotations

from typing import cast

from starlette.requests import Request

from blackbox_am.gateway.bests import Bests
from blackbox_am.gateway.feeds.hub import Hub
from blackbox_am.gateway.groups import GroupIndex
from blackbox_am.gateway.inputs import Inputs
from blackbox_am.gateway.kept import Kept
from blackbox_am.gateway.settings import Settings
from blackbox_am.gateway.tables import Tables
from blackbox_am.gateway.upstream import Upstream

PICTURE_BYTES = 2**25


class Gateway:
    """The parts of a running gateway. Must be created on its event loop.

    Args:
        settings: what the operator set.

    Attributes:
        settings: what the operator set.
        upstream: the connection to the server.
        groups: the groups of studies.
        hub: live updates.
        bests: best candidates and their stimuli.
        inputs: the inputs that attacks change.
        tables: the columns of generators of table rows.
        pictures: PNG files that were drawn before, by their entity tags.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.upstream = Upstream(settings.server, settings.server_token, settings.server_tls)
        self.groups = GroupIndex(self.upstream)
        self.hub = Hub(self.upstream, self.groups)
        self.bests = Bests(self.upstream)
        self.inputs = Inputs(self.upstream)
        self.tables = Tables(self.upstream)
        self.pictures = Kept(PICTURE_BYTES)

    async def close(self) -> None:
        """Closes the connection."""
        await self.upstream.close()


def gateway_of(request: Request) -> Gateway:
    """The gateway that answers a request."""
    return cast("Gateway", request.app.state.gateway)
