"""A certificate authority for one run, made with the program `openssl`."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Authority:
    """A self-signed certificate for this machine.

    Attributes:
        certificate: file of the certificate, which clients trust.
        key: file of its private key.
    """

    certificate: Path
    key: Path

    @property
    def pair(self) -> tuple[bytes, bytes]:
        """Key and certificate, as gRPC's server takes them."""
        return self.key.read_bytes(), self.certificate.read_bytes()


@cache
def authority() -> Authority:
    """The certificate of this run.

    Raises:
        FileNotFoundError: without the program `openssl`.
    """
    folder = Path(tempfile.mkdtemp(prefix="blackbox_am-tls-"))
    found = Authority(folder / "certificate.pem", folder / "key.pem")
    names = "subjectAltName=IP:127.0.0.1,DNS:localhost"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", names]
    command += ["-keyout", str(found.key), "-out", str(found.certificate)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603  # our own command
    return found
