"""Encryption of the server's connections, with certificates that can be replaced while it runs."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path

import grpc

from blackbox_am.core.addresses import is_exposed
from blackbox_am.core.certificates import Tls, check_pair
from blackbox_am.errors import InvalidSpec

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerTls:
    """How a server encrypts its connections.

    Attributes:
        certificate, key: files with the server's certificate and its key, in PEM.
        client_ca: file with the certificates of the authorities that sign the certificates of
            clients; empty if clients need none.

    Raises:
        InvalidSpec: if a file is missing.
    """

    certificate: str = ""
    key: str = ""
    client_ca: str = ""

    def __post_init__(self) -> None:
        if bool(self.certificate) != bool(self.key):
            missing = "tls_key" if self.certificate else "tls_certificate"
            raise InvalidSpec(
                f"{missing}: expected a file, got none; a certificate and its key go together",
                field=missing,
            )
        if self.client_ca and not self.certificate:
            raise InvalidSpec(
                "tls_client_ca: means nothing without tls_certificate and tls_key; give these too",
                field="tls_client_ca",
            )

    @property
    def on(self) -> bool:
        """Whether connections are encrypted."""
        return bool(self.certificate)


class Credentials:
    """The credentials of a server. The files are read again when they have changed; a new
    connection then uses the new ones. While the new files do not fit together the old ones stay.

    Args:
        tls: the files.

    Raises:
        InvalidSpec: if a file is not what it should be.
    """

    def __init__(self, tls: ServerTls) -> None:
        self._tls = tls
        self._lock = threading.Lock()
        self._seen = self._stamp()
        self._configuration = self._read()

    def for_grpc(self) -> grpc.ServerCredentials:
        """The credentials in gRPC's form."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration, self._current, bool(self._tls.client_ca)
        )

    def _current(self) -> grpc.ServerCertificateConfiguration | None:
        """Called by gRPC for each new connection; None keeps what is used."""
        with self._lock:
            try:
                stamp = self._stamp()
                if stamp == self._seen:
                    return None
                self._configuration, self._seen = self._read(), stamp
            except (InvalidSpec, OSError) as error:
                log.warning("the certificates have changed and cannot be used yet: %s", error)
                return None
            log.info("the certificates have changed; new connections use %s", self._files[0])
            return self._configuration

    @property
    def _files(self) -> list[str]:
        tls = self._tls
        return [file for file in (tls.certificate, tls.key, tls.client_ca) if file]

    def _stamp(self) -> list[tuple[int, int, int]]:
        try:
            found = [Path(file).stat() for file in self._files]
        except OSError as error:
            raise InvalidSpec(
                f"tls: cannot read {error.filename} ({error.strerror})", field="tls_certificate"
            ) from error
        return [(one.st_mtime_ns, one.st_size, one.st_ino) for one in found]

    def _read(self) -> grpc.ServerCertificateConfiguration:
        tls = self._tls
        check_pair(tls.certificate, tls.key, "tls_certificate")
        pair = (Path(tls.key).read_bytes(), Path(tls.certificate).read_bytes())
        trusted, _, _ = Tls(ca_file=tls.client_ca).contents()
        return grpc.ssl_server_certificate_configuration([pair], trusted)


def check_exposure(address: str, tls: ServerTls, tokens: bool) -> None:
    """Checks that a server that other machines reach is encrypted and knows its callers.

    Args:
        address: where it listens.
        tls: its encryption.
        tokens: whether callers need a token.

    Raises:
        InvalidSpec: if strangers could use the server or read what it sends.
    """
    if not is_exposed(address):
        return
    missing = []
    if not tls.on:
        missing.append("encryption (--tls-certificate and --tls-key)")
    if not tokens and not tls.client_ca:
        missing.append("tokens (`blackbox-am token create NAME --role runner --store STORE`)")
    if missing:
        raise InvalidSpec(
            f"other machines can reach {address}, and the server has no {' and no '.join(missing)}"
            "; add what is missing, listen on localhost, or accept this with --insecure",
            field="address",
        )
