"""Whether the file of a SQLite store is still the file that was opened.

SQLite goes on writing to a file that was deleted or replaced, and everything written to such a file
is lost when the process ends.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from blackbox_am.errors import StoreCorrupt, StoreError

EMPTY_SECONDS = 2.0
"""How long a file may be empty while another process makes a store of it."""


class StoreFile:
    """The file of a store, as it was when the store was opened.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log = str(path) + "-wal"
        self._identity: tuple[int, int] | None = None
        self._logs = False

    def check_before(self) -> None:
        """Check the file before a connection is opened; SQLite would make a missing file.

        Raises:
            StoreError: if it is not the file that was opened first.
            StoreCorrupt: if the file is empty.
        """
        if not self.path.parent.is_dir():
            raise StoreError(
                f"cannot open the store {self.path}: there is no folder {self.path.parent}"
            )
        if self._identity is not None:
            self.check()
        elif self._stays_empty():
            raise StoreCorrupt(
                f"the store {self.path} is an empty file; a store is never empty, so its content "
                "was lost. Restore it from a backup, or delete the file to begin a new store"
            )

    def _stays_empty(self) -> bool:
        deadline = time.monotonic() + EMPTY_SECONDS
        while self.path.is_file() and not self.path.stat().st_size:
            if time.monotonic() > deadline:
                return True
            time.sleep(0.02)
        return False

    def remember(self) -> None:
        """Remember which file is open."""
        found = self.path.stat()
        self._identity = (found.st_dev, found.st_ino)
        self._logs = Path(self._log).exists()  # not on file systems without shared memory

    def check(self) -> None:
        """Check that the path still names the file that was opened.

        Raises:
            StoreError: if the file was deleted, replaced or emptied.
        """
        try:
            found = os.stat(self.path)  # noqa: PTH116  # is called after each transaction
            if self._logs:
                os.stat(self._log)  # noqa: PTH116  # has what was written last
        except OSError as error:
            raise self._problem(f"its file {error.filename} is missing") from error
        if (found.st_dev, found.st_ino) != self._identity:
            raise self._problem("another file has taken its place")
        if not found.st_size:
            raise self._problem("its file is empty")

    def size(self) -> int:
        """Bytes of the file and of its log."""
        log = Path(self._log)
        return self.path.stat().st_size + (log.stat().st_size if log.exists() else 0)

    def _problem(self, what: str) -> StoreError:
        return StoreError(
            f"the store {self.path} cannot be used: {what} since the server opened it, and what "
            "would be written is lost. Put the file back, or start the server again with the "
            "store that it is to use"
        )
