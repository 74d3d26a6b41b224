"""The audit log: who created, changed or deleted what, when, from where, and what came of it.

One line of JSON for each change and for each refused call::

    {"time": "2026-01-31T12:00:00.123Z", "principal": "ann", "token": "1f2e3d4c",
     "peer": "ipv4:10.0.0.7:40112", "method": "CreateStudy", "resource": "studies/edges",
     "outcome": "OK"}
"""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from blackbox_am.errors import StoreError
from blackbox_am.service.auth.principals import Principal

LONGEST = 200
"""Characters of a value at most: callers choose names."""


class AuditLog:
    """A file to which lines are added. A line is on the disk when `write` returns. Safe to use from
    any thread, and by several servers with one file.

    Args:
        path: the file; it is made for its owner only.

    Raises:
        StoreError: if the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(
                f"cannot write the audit log {path} ({error.strerror}); check its folder and "
                "permissions, or name another file with --audit-log"
            ) from error

    def write(
        self, principal: Principal | None, peer: str, method: str, resource: str, outcome: str
    ) -> None:
        """Adds one line.

        Args:
            principal: the caller; None if there are no tokens, or if the caller is unknown.
            peer: its address.
            method: what was called.
            resource: the study, group or artifact.
            outcome: `OK`, the reason of the error, or `CANCELLED`.

        Raises:
            StoreError: if the line cannot be written.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        entry: dict[str, Any] = {
            "time": now,
            "principal": "" if principal is None else principal.name,
            "token": "" if principal is None else principal.token_id,
            "peer": unquote(peer),
            "method": method,
            "resource": resource,
            "outcome": outcome,
        }
        line = json.dumps({key: str(value)[:LONGEST] for key, value in entry.items()}) + "\n"
        with self._lock:
            try:
                data = line.encode()
                while data:
                    data = data[os.write(self._file, data) :]
                os.fsync(self._file)
            except OSError as error:
                raise StoreError(
                    f"the audit log {self.path} cannot be written ({error.strerror}); {method} of "
                    f"{resource[:LONGEST] or 'nothing'} ended with {outcome} and is not in the log"
                ) from error

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            os.close(self._file)
