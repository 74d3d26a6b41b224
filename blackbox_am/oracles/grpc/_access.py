"""How to connect to a gRPC server: TLS, certificates, headers, and the meaning of failures."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from blackbox_am.core.addresses import grpc_proxy_options
from blackbox_am.errors import InvalidSpec
from blackbox_am.oracles._secrets import resolved_headers
from blackbox_am.oracles.http._failure import untrusted

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
        if bool(self.certificate_file) != bool(self.key_file):
            missing = "key_file" if self.certificate_file else "certificate_file"
            raise InvalidSpec(
                f"{missing}: expected a file, got none; a client's certificate and its key go "
                "together",
                field=missing,
            )
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
        options: list[tuple[str, int | str]] = [
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_reconnect_backoff_ms", 2000),
            *grpc_proxy_options(address),
        ]
        if not self.tls:
            return grpc.insecure_channel(address, options=options)
        if self.server_name:
            options.append(("grpc.ssl_target_name_override", self.server_name))
        return grpc.secure_channel(address, self._credentials(), options=options)

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
        if self.tls and "CERTIFICATE_VERIFY_FAILED" in details:
            why = details.partition("CERTIFICATE_VERIFY_FAILED: ")[2].partition(": ")[0]
            return untrusted(why)
        if self.tls and "Hostname Verification" in details:
            return (
                "its certificate is for another name than "
                + (repr(self.server_name) if self.server_name else "that of its address")
                + "; give the name that is in it as server_name"
            )
        if self.tls and ("WRONG_VERSION_NUMBER" in details or "http/1.x" in details):
            return "it does not speak TLS; set tls = false, or have it served with TLS"
        closed = "Socket closed" in details or "reset by peer" in details
        if not closed or "failed to connect" not in details:
            return ""
        if not self.tls:
            return (
                "it closes the connection at once, as a server does that expects TLS; set "
                "tls = true if it does"
            )
        if not self.certificate_file:
            return (
                "it closes the connection at once, as a server does that expects a certificate "
                "of its client; give certificate_file and key_file if it does"
            )
        return (
            f"it closes the connection at once, as a server does that does not trust the "
            f"certificate in {self.certificate_file}; ask its operator who may have signed it"
        )

    def _credentials(self) -> grpc.ChannelCredentials:
        # gRPC accepts any bytes, and then every connection fails without a reason.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            if self.ca_file:
                context.load_verify_locations(self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise InvalidSpec(
                f"ca_file: cannot read certificates from {self.ca_file}: {error}", field="ca_file"
            ) from error
        try:
            if self.certificate_file:
                context.load_cert_chain(self.certificate_file, self.key_file, password="")
        except (OSError, ssl.SSLError) as error:
            raise InvalidSpec(
                f"certificate_file: {self.certificate_file} and {self.key_file} are no "
                f"certificate in PEM with its key, free of a password: {error}",
                field="certificate_file",
            ) from error
        return grpc.ssl_channel_credentials(
            *(
                Path(path).read_bytes() if path else None
                for path in (self.ca_file, self.key_file, self.certificate_file)
            )
        )
