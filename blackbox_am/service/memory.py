"""The memory that calls and studies may use together."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from blackbox_am.errors import InvalidInput, QuotaExceeded

RETRY_SECONDS = 2.0
"""Seconds after which a refused call may find room."""
TRIM_BYTES = 2**26
"""After calls that held more, freed memory goes back to the system."""
_CGROUP = Path("/sys/fs/cgroup/memory.max")


def default_limit() -> int:
    """Half of the memory of this machine, or of the container, in bytes."""
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no container, or `max`
        most = min(most, int(_CGROUP.read_text()))
    return most // 2


class MemoryBudget:
    """Counts the memory that calls announce, beside that of the studies. Safe to use from any
    thread.

    Args:
        limit: in bytes.
        studies: the bytes of the studies in memory.
        free: removes studies from memory that are not used now.
    """

    def __init__(
        self,
        limit: int,
        studies: Callable[[], int] = lambda: 0,
        free: Callable[[], None] = lambda: None,
    ) -> None:
        self.limit = limit
        self._studies, self._free_studies = studies, free
        self._lock = threading.Lock()
        self._held = 0
        self._most = 0

    @property
    def held(self) -> int:
        """Bytes that calls hold."""
        return self._held

    @contextmanager
    def holding(self, size: int, what: str) -> Iterator[None]:
        """Counts `size` bytes inside the context.

        Args:
            size: in bytes.
            what: needs the memory, in the message.

        Raises:
            InvalidInput: if `size` is above the whole budget.
            QuotaExceeded: if there is too little left now.
        """
        self.check_fits(size, what)
        if self._held + self._studies() + size > self.limit:
            self._free_studies()
        studies = self._studies()
        with self._lock:
            if self._held + studies + size > self.limit:
                raise QuotaExceeded(
                    f"{what} needs {size} bytes, and {self._held + studies} of the "
                    f"{self.limit} bytes for calls and studies of this server are in use; try "
                    "again, or send less at a time",
                    retry_after=RETRY_SECONDS,
                )
            self._held += size
            self._most = max(self._most, self._held)
        try:
            yield
        finally:
            self._free(size)

    def check_fits(self, size: int, what: str, field: str = "") -> None:
        """Checks that the whole budget holds `size` bytes.

        Raises:
            InvalidInput: if it does not.
        """
        if size > self.limit:
            raise InvalidInput(
                f"{what} needs {size} bytes, more than the {self.limit} bytes for calls and "
                "studies of this server; ask for less, or raise memory_bytes in its configuration",
                field=field,
            )

    def _free(self, size: int) -> None:
        with self._lock:
            self._held -= size
            trims = not self._held and self._most > TRIM_BYTES
            if trims:
                self._most = 0
        if trims:
            give_to_system()


def give_to_system() -> None:
    """Give freed memory to the system, which the C library would keep for its threads."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)
