"""Certificates of TLS in files: those that a client trusts, and its own."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from blackbox_am.errors import InvalidSpec


@dataclass(frozen=True)
class Tls:
    """How a client encrypts a connection.

    Attributes:
        ca_file: certificates of the authorities to trust instead of the public ones, in PEM.
        certificate_file, key_file: the client's own certificate and its key, in PEM, for a server
            that asks for them.
        server_name: the name in the server's certificate, if it differs from the name in the
            address.

    Raises:
        InvalidSpec: for a certificate without its key, or the reverse.
    """

    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    server_name: str = ""

    def __post_init__(self) -> None:
        if bool(self.certificate_file) != bool(self.key_file):
            missing = "key_file" if self.certificate_file else "certificate_file"
            raise InvalidSpec(
                f"{missing}: expected a file, got none; a client's certificate and its key go "
                "together",
                field=missing,
            )

    def contents(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """The bytes of `ca_file`, `key_file` and `certificate_file`; None for no file.

        The files are checked first: gRPC accepts any bytes, and then every connection fails without
        a reason.

        Raises:
            InvalidSpec: for files that cannot be read, or that have no certificate or key.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            if self.ca_file:
                context.load_verify_locations(self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise InvalidSpec(
                f"ca_file: cannot read certificates from {self.ca_file}: {error}", field="ca_file"
            ) from error
        if self.certificate_file:
            check_pair(self.certificate_file, self.key_file, "certificate_file")
        ca, key, certificate = (
            Path(path).read_bytes() if path else None
            for path in (self.ca_file, self.key_file, self.certificate_file)
        )
        return ca, key, certificate


def check_pair(certificate_file: str, key_file: str, field: str) -> None:
    """Checks that two files are a certificate and its key.

    Raises:
        InvalidSpec: if they are not. The error names `field`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_cert_chain(certificate_file, key_file, password="")
    except (OSError, ssl.SSLError) as error:
        raise InvalidSpec(
            f"{field}: {certificate_file} and {key_file} are no certificate in PEM with its key, "
            f"free of a password: {error}",
            field=field,
        ) from error


def untrusted(why: str) -> str:
    """The message about a server whose certificate was refused.

    Args:
        why: the reason as the TLS library gives it.
    """
    if "expired" in why or "not yet valid" in why:
        return f"its certificate is out of date ({why}); have it renewed, or set the clock right"
    return (
        f"its certificate is not trusted ({why}); where an authority of your own has signed it, "
        "name that in ca_file"
    )
