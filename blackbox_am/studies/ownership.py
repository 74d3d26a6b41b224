"""The leases that a process holds on studies, renewed in the background.

A study is searched by one process at a time. The process holds the study's lease in the store,
and every append carries the lease's token, which the store checks. A process that cannot renew
its leases stops searching before they run out, by its own clock, so that another can go on.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable

from blackbox_am.core.leases import Lease
from blackbox_am.core.store import Store
from blackbox_am.errors import NotOwner, StoreError

log = logging.getLogger(__name__)

LEASE_SECONDS = 3.0
RENEW_SECONDS = 1.0
MARGIN_SECONDS = 0.25
"""A holder regards its lease as over this long before the store does."""


class Ownership:
    """One lease on one study, as its holder knows it.

    Attributes:
        lease: as the store gave it.
    """

    def __init__(self, lease: Lease, until: float, clock: Callable[[], float]) -> None:
        self.lease = lease
        self._until = until
        self._clock = clock

    @property
    def token(self) -> int:
        """The fencing token."""
        return self.lease.token

    @property
    def valid(self) -> bool:
        """Whether the study is still this process's, by its own clock."""
        return self._clock() < self._until

    def check(self) -> None:
        """Raises where the lease has run out.

        Raises:
            NotOwner: then.
        """
        if not self.valid:
            raise NotOwner(
                f"the lease of this process on study {self.lease.study_id!r} has run out; another "
                "process may run the study by now"
            )

    def renewed(self, until: float) -> None:
        """Holds until `until` on the holder's clock."""
        self._until = until

    def lost(self) -> None:
        """Another process has taken the lease."""
        self._until = float("-inf")


class Owner:
    """A process as an owner of studies. Its leases are renewed in a thread, while it has any.

    Args:
        store: where the leases are.
        name: names the process for people; `process_name` where empty.
        seconds: how long a lease holds without being renewed.
        renew_seconds: between renewals.
        clock: monotonic seconds.

    Attributes:
        owner_id: unique to this object.
        name: as above.
    """

    def __init__(
        self,
        store: Store,
        name: str = "",
        *,
        seconds: float = LEASE_SECONDS,
        renew_seconds: float = RENEW_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.owner_id = uuid.uuid4().hex
        self.name = name or process_name()
        self._store = store
        self._seconds = seconds
        self._renew_seconds = renew_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[str, Ownership] = {}
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, study_id: str) -> Ownership:
        """The lease on a study, for as long as it can be renewed.

        Raises:
            NotOwner: where another process holds it.
        """
        before = self._clock()
        lease = self._store.leases.take(study_id, self.owner_id, self.name, self._seconds)
        with self._lock:
            held = self._held.get(study_id)
            if held is None or held.token != lease.token:
                held = Ownership(lease, self._end(before), self._clock)
                self._held[study_id] = held
            held.renewed(self._end(before))
            self._start()
        return held

    def release(self, ownership: Ownership, held: bytes = b"") -> None:
        """Gives a lease back at once.

        Args:
            ownership: which.
            held: something for the next owner.
        """
        study_id = ownership.lease.study_id
        ownership.lost()
        with self._lock:
            if self._held.get(study_id) is ownership:
                del self._held[study_id]
        try:
            self._store.leases.release(ownership.lease, held)
        except StoreError as error:  # it runs out by itself
            log.warning("the lease on study %s could not be given back: %s", study_id, error)

    def close(self) -> None:
        """Gives all leases back, and ends the thread."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            rest = list(self._held.values())
        for ownership in rest:
            self.release(ownership)

    def renew(self) -> None:
        """Renews all leases, and marks those as lost that another process has taken.

        Raises:
            StoreError: where the store cannot be written.
        """
        before = self._clock()
        with self._lock:
            held = dict(self._held)
        if not held:
            return
        tokens = self._store.leases.renew(self.owner_id, self._seconds)
        for study_id, ownership in held.items():
            if tokens.get(study_id) == ownership.token:
                ownership.renewed(self._end(before))
                continue
            ownership.lost()
            with self._lock:
                if self._held.get(study_id) is ownership:
                    del self._held[study_id]
                    log.warning("study %s is run by another process now", study_id)

    def _end(self, before: float) -> float:
        return before + self._seconds - min(MARGIN_SECONDS, self._seconds / 10)

    def _start(self) -> None:
        """Starts the thread with the first lease. Under the lock."""
        if self._thread is None and not self._closed.is_set():
            self._thread = threading.Thread(target=self._work, name="leases", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while not self._closed.wait(self._renew_seconds):
            try:
                self.renew()
            except StoreError as error:
                log.warning("the leases could not be renewed: %s; trying again", error)


def process_name(role: str = "process") -> str:
    """How people know this process: `server 17 on some-host`."""
    return f"{role} {os.getpid()} on {socket.gethostname()}"
