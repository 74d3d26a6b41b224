"""The contract of a store that processes share: leases on studies, and calls between them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write to a study, until it runs out.

    Attributes:
        study_id: the study.
        owner: id of the process that holds it.
        token: the fencing token: greater than that of any lease given before it.
        held: what an earlier owner of the study left for the next when it released the lease.
    """

    study_id: str
    owner: str
    token: int
    held: bytes = b""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that one process asks the owner of a study to answer.

    Attributes:
        call_id: its id.
        study_id: the study it is about.
        method: which method is called.
        request: the encoded request.
    """

    call_id: str
    study_id: str
    method: str
    request: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a call: a response, or an error. Both are encoded by the callers."""

    response: bytes
    error: bytes = b""


class Leases(ABC):
    """Who may write to which study. Times are those of the database's clock.

    A lease that has run out still holds as long as nobody else takes it: the token decides.
    """

    @abstractmethod
    def take(self, study_id: str, owner: str, name: str, seconds: float) -> Lease:
        """The lease on a study for `seconds` from now; the same one where `owner` holds it.

        The study need not exist yet: who creates it takes its lease first.

        Args:
            study_id: the study.
            owner: the caller's id, unique to its process.
            name: the caller's name for people, such as `server on host:50051, process 17`.
            seconds: how long it holds unless it is renewed.

        Raises:
            NotOwner: where another holds it, with the time it still holds as `retry_after`.
        """

    @abstractmethod
    def renew(self, owner: str, seconds: float) -> dict[str, int]:
        """Holds all leases of `owner` for `seconds` from now.

        Returns:
            The token of each lease that `owner` still holds, by study.
        """

    @abstractmethod
    def release(self, lease: Lease, held: bytes = b"") -> None:
        """Gives a lease back, for anybody to take at once; without effect where it is lost.

        Args:
            lease: which.
            held: something for the next owner.
        """

    @abstractmethod
    def owner_name(self, study_id: str) -> str:
        """The name of the process that holds the lease of a study; empty where none does."""

    @abstractmethod
    def free(self, states: Collection[str]) -> list[str]:
        """Ids of the studies with an oracle, in one of `states`, of which nobody holds the lease,
        the oldest first.
        """


class Calls(ABC):
    """Calls between processes that share the store.

    They serve processes that are alive: neither a call nor an answer survives a loss of power.
    """

    @abstractmethod
    def ask(self, study_id: str, method: str, request: bytes) -> str:
        """Leaves a call for the owner of the study. Returns the call's id."""

    @abstractmethod
    def waiting(self, owner: str) -> list[Call]:
        """The unanswered calls for the studies that `owner` holds, the oldest first."""

    @abstractmethod
    def answer(self, call_id: str, answer: Answer) -> None:
        """Answers a call; without effect where the caller has given up."""

    @abstractmethod
    def answered(self, call_id: str) -> Answer | None:
        """The answer to a call, which is forgotten with this; None where there is none yet."""

    @abstractmethod
    def forget(self, call_id: str) -> None:
        """Gives a call up."""
