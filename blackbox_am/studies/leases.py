"""Leases of candidates: a client holds candidates for a limited time while it measures them.

The leases are in memory. If the process ends in good order, they are passed to the next owner of
the study. After a crash every candidate is free again: a candidate may be measured twice, and the
first result counts.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from blackbox_am.errors import NotFound

Key = tuple[int, int]
"""(target, row) in the open generation."""


@dataclass(frozen=True)
class Holder:
    """A holder of candidates.

    Attributes:
        client: name of a client, the same after a restart; empty for an anonymous client.
        session: identifies one run of the client.
    """

    client: str = ""
    session: str = ""


NOBODY = Holder()


@dataclass
class Lease:
    """Candidates of one caller until `expires` on the book's clock."""

    expires: float
    keys: set[Key]
    holder: Holder = NOBODY


@dataclass
class LeaseBook:
    """The leases of one study's open generation.

    Attributes:
        clock: monotonic seconds.
    """

    clock: Callable[[], float]
    _leases: dict[str, Lease] = field(default_factory=dict)

    def take(self, keys: Iterable[Key], seconds: float, holder: Holder = NOBODY) -> str:
        """Lease `keys` for `seconds`; returns the lease's id."""
        lease_id = secrets.token_hex(8)
        self._leases[lease_id] = Lease(self.clock() + seconds, set(keys), holder)
        return lease_id

    def let_go_of_earlier(self, holder: Holder) -> None:
        """Release all candidates of earlier runs of a named client."""
        for lease_id, lease in list(self._leases.items()):
            same = lease.holder.client == holder.client
            if holder.client and same and lease.holder.session != holder.session:
                del self._leases[lease_id]

    def let_go_of(self, lease_id: str) -> None:
        """Release all candidates of a lease; a lease that has run out is no error."""
        self._leases.pop(lease_id, None)

    def renew(self, lease_id: str, seconds: float) -> int:
        """Extend the lease to `seconds` from now; returns the number of its candidates.

        Raises:
            NotFound: if the lease has expired or all its candidates are measured.
        """
        self._expire()
        lease = self._leases.get(lease_id)
        if lease is None:
            raise NotFound(
                f"no lease {lease_id!r}: it has run out, or its candidates are measured; ask again",
                field="lease_id",
            )
        lease.expires = self.clock() + seconds
        return len(lease.keys)

    def held(self) -> set[Key]:
        """All leased candidates."""
        self._expire()
        return {key for lease in self._leases.values() for key in lease.keys}

    def next_expiry(self) -> float:
        """Seconds until the first lease expires; 0 if there is no lease."""
        self._expire()
        if not self._leases:
            return 0.0
        return min(lease.expires for lease in self._leases.values()) - self.clock()

    def release(self, keys: Iterable[Key]) -> None:
        """Release `keys`, which are measured."""
        done = set(keys)
        for lease_id, lease in list(self._leases.items()):
            lease.keys -= done
            if not lease.keys:
                del self._leases[lease_id]

    def clear(self) -> None:
        """Release all candidates, because a new generation is open."""
        self._leases.clear()

    def to_bytes(self, owner: str, generation: int) -> bytes:
        """The leases as bytes for the next owner of the study; never empty.

        Args:
            owner: id of the current owner.
            generation: the open generation, to which the leases belong.
        """
        self._expire()
        now = self.clock()
        leases = [
            _Handed(lease_id, lease.expires - now, sorted(lease.keys), lease.holder)
            for lease_id, lease in self._leases.items()
        ]
        return msgspec.msgpack.encode(_HandedBook(owner, generation, time.time(), leases))

    def restore(self, data: bytes, generation: int) -> str:
        """Take over leases from another owner's bytes, if they have not expired.

        Args:
            data: the result of `to_bytes`.
            generation: the open generation; leases of another generation are dropped.

        Returns:
            The id of the owner that wrote the bytes.
        """
        book = msgspec.msgpack.decode(data, type=_HandedBook)
        if book.generation != generation:
            return book.owner
        passed = max(time.time() - book.time, 0.0)
        for lease in book.leases:
            expires = self.clock() + lease.seconds - passed
            self._leases[lease.lease_id] = Lease(expires, set(lease.keys), lease.holder)
        self._expire()
        return book.owner

    def _expire(self) -> None:
        now = self.clock()
        for lease_id in [i for i, lease in self._leases.items() if lease.expires <= now]:
            del self._leases[lease_id]


class _Handed(msgspec.Struct, frozen=True, array_like=True):
    lease_id: str
    seconds: float
    keys: list[Key]
    holder: Holder


class _HandedBook(msgspec.Struct, frozen=True, array_like=True):
    owner: str
    generation: int
    time: float
    leases: list[_Handed]
