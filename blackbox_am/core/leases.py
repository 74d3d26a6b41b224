"""The contract of a store that processes share: leases on studies, and calls between them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write to a study, until the lease expires.

    Attributes:
        study_id: the study.
        owner: id of the process that holds the lease.
        token: the fencing token, greater than the token of every earlier lease.
        held: data that an earlier owner of the study stored for the next owner when it released the
            lease.
    """

    study_id: str
    owner: str
    token: int
    held: bytes = b""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that one process asks the owner of a study to answer.

    Attributes:
        call_id: id of the call.
        study_id: the study that the call concerns.
        method: name of the called method.
        request: the encoded request.
    """

    call_id: str
    study_id: str
    method: str
    request: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a call: a response, or an error. Both are encoded by the callers."""

    response: bytes
    error: bytes = b""


class Leases(ABC):
    """Leases on studies: which process may write to which study. Times are those of the database's
    clock.

    An expired lease is still valid until another process takes it: the token decides.
    """

    @abstractmethod
    def take(self, study_id: str, owner: str, name: str, seconds: float) -> Lease:
        """The lease on a study for `seconds` from now; the same lease if `owner` holds it already.

        The study need not exist yet: the process that creates a study takes its lease first.

        Args:
            study_id: the study.
            owner: the caller's id, unique to its process.
            name: the caller's name for people, such as `server on host:50051, process 17`.
            seconds: duration of the lease without renewal.

        Raises:
            NotOwner: if another process holds the lease; `retry_after` is its remaining time.
        """

    @abstractmethod
    def renew(self, owner: str, seconds: float) -> dict[str, int]:
        """Renews all leases of `owner` for `seconds` from now.

        Returns:
            The token of each lease that `owner` still holds, by study.
        """

    @abstractmethod
    def release(self, lease: Lease, held: bytes = b"") -> None:
        """Releases a lease, so that any process can take it at once; without effect if the lease is
        lost.

        Args:
            lease: the lease.
            held: data for the next owner.
        """

    @abstractmethod
    def owner_name(self, study_id: str) -> str:
        """The name of the process that holds the lease of a study; empty if no process does."""

    @abstractmethod
    def free(self, states: Collection[str]) -> list[str]:
        """Ids of the studies with an oracle, in one of `states`, whose lease no process holds, the
        oldest first.
        """


class Calls(ABC):
    """Calls between processes that share the store.

    Only running processes use the calls: neither a call nor an answer survives a loss of power.
    """

    @abstractmethod
    def ask(self, study_id: str, method: str, request: bytes) -> str:
        """Stores a call for the owner of the study. Returns the call's id."""

    @abstractmethod
    def waiting(self, owner: str) -> list[Call]:
        """The unanswered calls for the studies that `owner` holds, the oldest first."""

    @abstractmethod
    def answer(self, call_id: str, answer: Answer) -> None:
        """Answers a call; without effect if the caller has withdrawn the call."""

    @abstractmethod
    def answered(self, call_id: str) -> Answer | None:
        """The answer to a call; None if no answer exists yet. The answer is deleted when it is
        read.
        """

    @abstractmethod
    def forget(self, call_id: str) -> None:
        """Withdraws a call."""
