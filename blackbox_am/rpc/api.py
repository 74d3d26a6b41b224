"""The API's version and features, and the shortest interval of a client's pings."""

from __future__ import annotations

from blackbox_am.errors import Unsupported
from blackbox_am.version import __version__

VERSION = ".".join(__version__.split(".")[:2])
"""MAJOR.MINOR. Clients and servers of the same one understand each other."""
FEATURES = ("artifacts", "client_sessions", "groups")
"""What a server can do beyond the first version of the API."""
MIN_KEEPALIVE_SECONDS = 10
"""A client that pings more often than this is cut off."""


def check_version(theirs: str, target: str) -> None:
    """Checks that the server at `target`, of API version `theirs`, understands this client.

    Raises:
        Unsupported: where it does not.
    """
    if theirs != VERSION:
        raise Unsupported(
            f"the server at {target} speaks version {theirs or 'unknown'} of the API, this client "
            f"version {VERSION}; install the version of blackbox-am that the server runs"
        )
