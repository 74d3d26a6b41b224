"""Certificates for tests of encrypted connections, made with the command `openssl`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from blackbox_am.errors import Unsupported


class Certificates:
    """Authorities, and what they sign, as files `NAME.pem` and `NAME.key` in a folder.

    Args:
        folder: the folder.

    Raises:
        Unsupported: if there is no command `openssl`.
    """

    def __init__(self, folder: Path) -> None:
        found = shutil.which("openssl")
        if found is None:
            raise Unsupported("the command openssl is not installed; install it for these tests")
        self._openssl = found
        self.folder = folder

    def authority(self, name: str) -> Path:
        """The certificate of a new authority."""
        self._new(name, "-x509", "-days", "2", "-out", f"{name}.pem")
        return self.file(name)

    def signed(self, name: str, by: str, host: str = "localhost", days: int = 2) -> Path:
        """A new certificate for a host, signed by an authority; expired for negative `days`."""
        self._new(name, "-out", f"{name}.csr")
        (self.folder / "names").write_text(f"subjectAltName=DNS:{host},IP:127.0.0.1\n")
        signer = ["-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-CAcreateserial"]
        what = ["-in", f"{name}.csr", "-out", f"{name}.pem", "-extfile", "names"]
        self._run("x509", "-req", *what, *signer, "-days", str(days))
        return self.file(name)

    def file(self, name: str, kind: str = "pem") -> Path:
        """A file of the folder: a certificate, or with `key` its key."""
        return self.folder / f"{name}.{kind}"

    def _new(self, name: str, *more: str) -> None:
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        self._run("req", *kind, "-keyout", f"{name}.key", "-subj", f"/CN={name}", *more)

    def _run(self, *arguments: str) -> None:
        command = [self._openssl, *arguments]
        subprocess.run(  # noqa: S603  # our own command
            command, check=True, capture_output=True, cwd=self.folder
        )
