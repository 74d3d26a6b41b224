"""How to connect to a gRPC server: TLS, certificates, headers, and the meaning of failures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc

from blackbox_am.core.certificates import Tls
from blackbox_am.errors import InvalidSpec
from blackbox_am.oracles._secrets import resolved_headers
from blackbox_am.rpc import channels

MAX_MESSAGE_BYTES = 32 * 2**20
"""The longest single message that is read; larger data comes in chunks."""

_HEADER = re.compile(r"(?!grpc-)[0-9a-z_.-]+(?<!-bin)")


@dataclass(frozen=True)
class Access:
    """How to connect to servers; the same settings for every server.

    Attributes:
        tls: whether the connection is encrypted.
        ca_file: certificates of the authorities to trust instead of the public ones.
        certificate_file, key_file: the client's own certificate and its key, in PEM.
        server_name: the name in the server's certificate, if it differs from the name in the
            address.
        headers: sent with each call; secrets stand in them by reference, as `_secrets.resolved`.

    Raises:
        InvalidSpec: if the attributes do not fit together.
    """

    tls: bool = False
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    server_name: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name in ("ca_file", "certificate_file", "key_file", "server_name"):
            if getattr(self, name) and not self.tls:
                raise InvalidSpec(f"{name}: means nothing without TLS; set tls = true", field=name)
        Tls(self.ca_file, self.certificate_file, self.key_file)
        for name in self.headers:
            if not _HEADER.fullmatch(name.lower()):
                raise InvalidSpec(
                    f"headers: {name!r} can name no header of gRPC; expected letters, digits, "
                    "and _ . - such as authorization",
                    field="headers",
                )

    def channel(self, address: str, max_message_bytes: int = MAX_MESSAGE_BYTES) -> grpc.Channel:
        """A channel. It connects with its first call.

        Args:
            address: host:port.
            max_message_bytes: the longest message that is read.

        Raises:
            InvalidSpec: for files that cannot be read, or that have no certificate or key.
        """
        options = [
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_reconnect_backoff_ms", 2000),
        ]
        return channels.channel(address, self._tls, None, options)

    def metadata(self) -> tuple[tuple[tuple[str, str], ...], list[str]]:
        """The headers of a call, and the secrets in them.

        Raises:
            InvalidSpec: if a secret cannot be found.
        """
        found, secrets = resolved_headers(self.headers)
        return tuple((name.lower(), text) for name, text in found.items()), secrets

    def meaning(self, details: str) -> str:
        """An explanation of gRPC's message about a failed connection, with a remedy; empty if
        unknown.
        """
        return channels.meaning(details, self._tls)

    @property
    def _tls(self) -> Tls | None:
        if not self.tls:
            return None
        return Tls(self.ca_file, self.certificate_file, self.key_file, self.server_name)
