"""What an operator sets: where the gateway listens, which server it shows, what it may change."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from blackbox_am.core.addresses import is_loopback
from blackbox_am.errors import InvalidInput

STATIC = Path(__file__).parent / "static"
LEAST_TOKEN = 16
"""Least number of characters of a token for changes."""


@dataclass(frozen=True)
class Settings:
    """Settings of a gateway.

    Attributes:
        server: address of the gRPC server, `host:port`.
        host: address on which to listen.
        port: port on which to listen; 0 selects a free port.
        token: secret that a request needs to change something; None if nothing can be changed.
        insecure_host: whether `host` may be an address that other machines reach, although the
            gateway has no encryption and shows every study to everybody.
        allowed_hosts: further names under which browsers may address the gateway.
        static: folder of the page.

    Raises:
        InvalidInput: for settings that are wrong or not safe.
    """

    server: str
    host: str = "127.0.0.1"
    port: int = 8642
    token: str | None = None
    insecure_host: bool = False
    allowed_hosts: tuple[str, ...] = ()
    static: Path = STATIC

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise InvalidInput(f"port must be 0 to 65535, got {self.port}", field="port")
        if not self.insecure_host and not _only_here(self.host):
            raise InvalidInput(
                f"host {self.host!r} can be reached by other machines, and the gateway has no "
                "encryption and shows every study to everybody who reaches it; listen on 127.0.0.1 "
                "and forward the port with ssh, or allow it with --insecure-host",
                field="host",
            )
        if self.token is not None and len(self.token) < LEAST_TOKEN:
            raise InvalidInput(
                f"the token must have {LEAST_TOKEN} characters or more, got {len(self.token)}; "
                "leave it out, and one is made",
                field="token",
            )

    @property
    def changes_allowed(self) -> bool:
        """Whether requests with the token can change studies."""
        return self.token is not None


def _only_here(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return is_loopback(host)
    return address.is_loopback
