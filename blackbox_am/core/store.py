"""The contract of a store: journals of studies, their index, ownership, and large values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """One event as it is kept.

    Attributes:
        sequence: its place in the study's journal, gap-free from 1.
        time: when it was written, in seconds since the epoch. For people; nothing depends on it.
        body: the encoded event.
    """

    sequence: int
    time: float
    body: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One event to be written.

    Attributes:
        kind: its type in one word, by which `Store.read` can select.
        body: the encoded event.
    """

    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """The state of an optimizer after some generations, and of its study at that moment.

    Attributes:
        generation: generations that the optimizer was told before.
        sequence: the last event folded in.
        body: the optimizer's state, encoded.
        study: the folded study at `sequence`, encoded.
    """

    generation: int
    sequence: int
    body: bytes
    study: bytes = b""


@dataclass(frozen=True, slots=True)
class Summary:
    """A study's row in the index, written with each append.

    Attributes:
        state: the value of its `StudyState`.
        oracle: name of the oracle that evaluates it; empty where only clients do.
        body: its progress, encoded. Small: it is written with each append.
        folded: the whole folded study, encoded, as of this append; None keeps the one
            that was written before.
    """

    state: str
    oracle: str
    body: bytes
    folded: bytes | None = None


@dataclass(frozen=True, slots=True)
class IndexedStudy:
    """What the index tells of a study.

    Attributes:
        study_id: its id.
        sequence: its last event.
        created_at: when it began, in seconds since the epoch.
        created: the body of its first event.
        state, body: of the last `Summary`; empty where none was ever written.
        owner: the name of the process that holds its lease; empty where none does.
        damage: what is wrong with the row, of which nothing more is known then; empty where
            nothing is.
    """

    study_id: str
    sequence: int
    created_at: float
    created: bytes
    state: str
    body: bytes
    owner: str = ""
    damage: str = ""


@dataclass(frozen=True, slots=True)
class Folded:
    """A folded study as it was written last.

    Attributes:
        sequence: the last event folded in; later events have to be applied by the reader.
        body: the folded study, encoded.
    """

    sequence: int
    body: bytes


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
class Note:
    """What the owner of a study noted last under one lease.

    Attributes:
        token: of the lease.
        body: what was noted.
    """

    token: int
    body: bytes


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


class Artifacts(ABC):
    """Large values, each known by the digest of its content, and kept once."""

    @abstractmethod
    def put(self, pieces: bytes | Iterable[bytes]) -> str:
        """Keeps a value.

        A value to which no study refers within a day may be removed.

        Args:
            pieces: the value, or its pieces in order.

        Returns:
            Its digest: SHA-256, 64 hexadecimal digits.
        """

    @abstractmethod
    def size(self, digest: str) -> int:
        """Bytes of the value.

        Raises:
            NotFound: where the store does not have it.
        """

    @abstractmethod
    def get(self, digest: str, offset: int = 0, limit: int | None = None) -> bytes:
        """The bytes of the value from `offset` on, at most `limit` of them.

        Raises:
            NotFound: where the store does not have the value.
            InvalidInput: for a negative offset or limit, or an offset behind the value's end.
            StoreCorrupt: where the value is damaged.
        """

    @abstractmethod
    def refer(self, study_id: str, name: str, digest: str) -> None:
        """Names a value as one of a study's: it is kept as long as the study.

        A later call with the same name replaces the reference.

        Raises:
            NotFound: where the store does not have the value.
        """

    @abstractmethod
    def of_study(self, study_id: str) -> dict[str, str]:
        """Digests of the values to which a study refers, by name."""

    @abstractmethod
    def collect(self, seconds: float = 86_400.0) -> int:
        """Removes values that are older than `seconds` and to which no study refers.

        Returns:
            How many were removed.
        """


class Store(ABC):
    """Keeps studies. Every method is safe to call from any thread.

    What a method wrote is durable when it returns, unless it says otherwise. Values go in and
    come out as copies.

    Attributes:
        leases: who may write to which study.
        calls: calls between the processes that share the store.
        artifacts: large values.
    """

    leases: Leases
    calls: Calls
    artifacts: Artifacts

    @abstractmethod
    def append(
        self,
        study_id: str,
        sequence: int,
        events: Sequence[Entry],
        *,
        token: int | None = None,
        summary: Summary | None = None,
        snapshot: StoredSnapshot | None = None,
    ) -> None:
        """Writes `events` at `sequence`, `sequence` + 1, ... in one transaction.

        The first event of a study (sequence 1) creates it.

        Args:
            study_id: the study.
            sequence: of the first of `events`.
            events: what happened.
            token: of the lease under which the caller writes; None where the caller has no
                lease, and writes only as long as nobody holds one.
            summary: takes the place of the study's row in the index, in the same transaction.
            snapshot: takes the place of the study's previous one, in the same transaction.

        Raises:
            NotOwner: where the lease is not the caller's.
            SequenceTaken: where another process wrote there first, or a gap would open.
        """

    @abstractmethod
    def read(
        self, study_id: str, after: int = 0, limit: int | None = None, kind: str = ""
    ) -> list[Record]:
        """The events after sequence number `after`, in order.

        Args:
            study_id: the study.
            after: the sequence number before the first.
            limit: how many at most.
            kind: only events of this kind; of all kinds where empty.

        Raises:
            NotFound: where there is no such study.
            StoreCorrupt: where an event is missing or damaged.
        """

    @abstractmethod
    def delete(self, study_id: str) -> None:
        """Forgets a study, its events, snapshots, notes and lease, and its artifacts where no
        other study refers to them.

        Raises:
            NotFound: where there is no such study.
        """

    @abstractmethod
    def load_snapshot(self, study_id: str) -> StoredSnapshot | None:
        """The study's snapshot, or None."""

    # The index

    @abstractmethod
    def find(self, study_id: str) -> IndexedStudy:
        """What the index tells of a study.

        Raises:
            NotFound: where there is no such study.
            StoreCorrupt: where the row or the study's first event is damaged.
        """

    @abstractmethod
    def studies(
        self, after: str = "", limit: int | None = None, states: Collection[str] = ()
    ) -> list[IndexedStudy]:
        """What the index tells of the studies, sorted by id.

        Args:
            after: only ids greater than this.
            limit: how many at most.
            states: only studies in one of these states; in any where empty.
        """

    @abstractmethod
    def folded(self, study_id: str) -> Folded | None:
        """The folded study as it was written last, or None."""

    # Notes and requests

    @abstractmethod
    def note(self, study_id: str, token: int, body: bytes) -> None:
        """Keeps `body` in the place of what was noted before under the same lease.

        For what is written too often to wait for a disk each time: a note survives the death of
        the process, but perhaps not a loss of power.

        Raises:
            NotOwner: where another has taken the lease meanwhile. Nothing is noted then.
        """

    @abstractmethod
    def notes(self, study_id: str) -> list[Note]:
        """What was noted last under each lease of the study, in the order of their tokens."""

    @abstractmethod
    def remember_request(self, request_id: str, study_id: str) -> str:
        """Binds a create request to a study, once.

        Returns:
            The study bound first: `study_id`, or the one of an earlier call.
        """

    @abstractmethod
    def close(self) -> None:
        """Gives back connections."""
