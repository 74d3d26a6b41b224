"""What an operator sets: where the gateway listens, which server it shows, what it may change."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from blackbox_am.core.addresses import is_loopback
from blackbox_am.core.certificates import Tls
from blackbox_am.errors import InvalidInput
from blackbox_am.rpc.channels import check_token

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
        server_token: the token for the server, sent with each call; None for a server without
            tokens. Its role limits what the gateway can show and change.
        server_tls: how the connection to the server is encrypted; None for no encryption.

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
    server_token: str | None = None
    server_tls: Tls | None = None

    def __post_init__(self) -> None:
        if self.server_token is not None:
            check_token(self.server_token, self.server, self.server_tls)
        if self.server_tls is not None:
            self.server_tls.contents()  # wrong files are refused at once
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
