"""The leases that a process holds on studies, renewed in the background.

A study is searched by one process at a time. The process holds the study's lease in the store,
and every append carries the lease's token, which the store checks. A process that cannot renew its
leases stops searching before they expire on its own clock, so that another process can continue.
A busy machine can delay the renewal beyond the end of a lease. The study goes on if no other
process has taken the lease until then.
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
"""Seconds by which a holder considers its lease expired before the store does."""


class Ownership:
    """One lease on one study, from its holder's point of view.

    Attributes:
        lease: the lease from the store.
    """

    def __init__(
        self, lease: Lease, until: float, clock: Callable[[], float], renew: Callable[[], None]
    ) -> None:
        self.lease = lease
        self._until = until
        self._clock = clock
        self._renew = renew

    @property
    def token(self) -> int:
        """The fencing token."""
        return self.lease.token

    @property
    def valid(self) -> bool:
        """Whether this process still owns the study, according to its own clock."""
        return self._clock() < self._until

    def check(self) -> None:
        """Raise an error if the lease has expired, and cannot be renewed at once.

        Raises:
            NotOwner: if another process has the lease, or if the store cannot be written.
        """
        if not self.valid and self._until > float("-inf"):
            try:
                self._renew()
            except StoreError as error:
                log.warning("the leases could not be renewed: %s", error)
        if not self.valid:
            raise NotOwner(
                f"the lease of this process on study {self.lease.study_id!r} has run out; another "
                "process may run the study by now"
            )

    def renewed(self, until: float) -> None:
        """Record that the lease is valid until `until` on the holder's clock."""
        self._until = until

    def lost(self) -> None:
        """Record that another process has taken the lease."""
        self._until = float("-inf")


class Owner:
    """A process as an owner of studies. A thread renews its leases as long as it has any.

    Args:
        store: the store of the leases.
        name: name of the process for people; `process_name` if empty.
        seconds: validity of a lease without renewal.
        renew_seconds: time between renewals.
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
        """Take the lease on a study, which is then renewed.

        Raises:
            NotOwner: if another process holds the lease.
        """
        before = self._clock()
        lease = self._store.leases.take(study_id, self.owner_id, self.name, self._seconds)
        with self._lock:
            held = self._held.get(study_id)
            if held is None or held.token != lease.token:
                held = Ownership(lease, self._end(before), self._clock, self.renew)
                self._held[study_id] = held
            held.renewed(self._end(before))
            self._start()
        return held

    def release(self, ownership: Ownership, held: bytes = b"") -> None:
        """Release a lease at once.

        Args:
            ownership: the ownership to release.
            held: data for the next owner.
        """
        study_id = ownership.lease.study_id
        ownership.lost()
        with self._lock:
            if self._held.get(study_id) is ownership:
                del self._held[study_id]
        try:
            self._store.leases.release(ownership.lease, held)
        except StoreError as error:  # the lease expires by itself
            log.warning("the lease on study %s could not be given back: %s", study_id, error)

    def close(self) -> None:
        """Release all leases and end the thread."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            rest = list(self._held.values())
        for ownership in rest:
            self.release(ownership)

    def renew(self) -> None:
        """Renew all leases, and mark those that another process has taken as lost.

        Raises:
            StoreError: if the store cannot be written.
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
        """Start the thread with the first lease; called under the lock."""
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
    """A name of this process for people: `server 17 on some-host`."""
    return f"{role} {os.getpid()} on {socket.gethostname()}"
