"""The API's version and features, and the shortest interval of a client's pings."""

from __future__ import annotations

from blackbox_am.errors import Unsupported
from blackbox_am.version import __version__

VERSION = ".".join(__version__.split(".")[:2])
"""MAJOR.MINOR. Clients and servers with the same version are compatible."""
FEATURES = ("artifacts", "client_sessions", "groups")
"""Features of a server beyond the first version of the API."""
MIN_KEEPALIVE_SECONDS = 10
"""In seconds. The server closes the connection of a client that pings more often."""


def check_version(theirs: str, target: str) -> None:
    """Checks that the server at `target`, with API version `theirs`, is compatible with this
    client.

    Raises:
        Unsupported: if the versions are not compatible.
    """
    if theirs != VERSION:
        raise Unsupported(
            f"the server at {target} speaks version {theirs or 'unknown'} of the API, this client "
            f"version {VERSION}; install the version of blackbox-am that the server runs"
        )
