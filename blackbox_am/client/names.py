"""The name of a client for leases; a script that starts again has the same name.

The server keeps the leases of a script that was killed. A script that starts under the same name
gets its candidates back at once. The name is that of a numbered file, which the process locks
until it ends. Two processes that run at the same time have different names, and a later process
can take the number of a process that has ended.
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
"""Largest number of processes of one user and machine that have a name at the same time."""


class ClientName:
    """The name of one client, taken when it is first read.

    Args:
        chosen: a name chosen by the user; then no file is locked.

    Attributes:
        session: identifies this run of the client.
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
        """Release the name."""
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
        except (OSError, KeyError):  # the file cannot be created, or the user has no name
            pass
        return ""  # an anonymous client: its candidates become free when their lease expires

    def _locked(self, path: Path) -> bool:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._unlock = weakref.finalize(self, os.close, file)
        return True
