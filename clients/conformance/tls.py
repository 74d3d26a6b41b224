"""The certificates of one run, made with the command `openssl`."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from blackbox_am.testing.certificates import Certificates

WORDS = {
    "certificate": ("authority", "pem"),
    "client_certificate": ("client", "pem"),
    "client_key": ("client", "key"),
    "server_certificate": ("server", "pem"),
    "server_key": ("server", "key"),
}
"""The files of a run by the words of the cases: `$certificate` is that of the authority."""


@cache
def certificates() -> Certificates:
    """An authority, and the certificates that it signed for a server and a client of this machine.

    Raises:
        Unsupported: if there is no command `openssl`.
    """
    made = Certificates(Path(tempfile.mkdtemp(prefix="blackbox_am-tls-")))
    made.authority("authority")
    made.signed("server", "authority")
    made.signed("client", "authority")
    return made


def file(word: str) -> Path:
    """The file for a word of `WORDS`."""
    name, kind = WORDS[word]
    return certificates().file(name, kind)
