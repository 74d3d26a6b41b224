"""The name under which a client asks for candidates, the same when its script starts again.

A script that was killed left candidates behind that the server holds for it. Started again under
the same name it gets them back at once. The name is that of a numbered file, which the process
locks for as long as it lives: of two that run at a time each has its own, and whoever comes after
a process that died takes over its number.
"""

from __future__ import annotations

import getpass
import os
import socket
import tempfile
import uuid
import weakref
from collections.abc import Callable
from pathlib import Path

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

SLOTS = 256
"""Processes of one user of one machine that have a name at a time; more have none."""


class ClientName:
    """A name for one client, taken when it is first read.

    Args:
        chosen: a name that the user chose; nothing is locked then.

    Attributes:
        session: tells this run from earlier ones under the same name.
    """

    def __init__(self, chosen: str | None = None) -> None:
        self.session = uuid.uuid4().hex
        self._name = chosen
        self._unlock: Callable[[], object] | None = None

    def __str__(self) -> str:
        if self._name is None:
            self._name = self._take()
        return self._name

    def close(self) -> None:
        """Gives the name back."""
        if self._unlock is not None:
            self._unlock()

    def _take(self) -> str:
        try:
            user = getpass.getuser()
            folder = Path(tempfile.gettempdir()) / f"blackbox_am-clients-{user}"
            folder.mkdir(mode=0o700, exist_ok=True)
            for slot in range(SLOTS if fcntl is not None else 0):
                if self._locked(folder / str(slot)):
                    return f"{user}@{socket.gethostname()}-{uuid.getnode():x}/{slot}"
        except (OSError, KeyError):  # no place for the file, or a user without a name
            pass
        return ""  # nobody in particular: candidates left behind are free once their lease ends

    def _locked(self, path: Path) -> bool:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._unlock = weakref.finalize(self, os.close, file)
        return True
