"""The contract of a store for large values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from blackbox_am.core.accounts import Account


class Artifacts(ABC):
    """A store of large values. The digest of its content identifies a value, which is stored
    once.
    """

    @abstractmethod
    def put(self, pieces: bytes | Iterable[bytes], account: Account | None = None) -> str:
        """Store a value.

        A value that no study refers to after a day can be removed.

        Args:
            pieces: the value, or its pieces in order.
            account: of the principal that writes the value; None for nobody. The value is then
                stored until no study refers to it and its last writer has lost it (see `Claims`).

        Returns:
            The digest: SHA-256, 64 hexadecimal digits.

        Raises:
            QuotaExceeded: if the account has too few bytes left.
        """

    @abstractmethod
    def size(self, digest: str) -> int:
        """The number of bytes of the value.

        Raises:
            NotFound: if the store does not have the value.
        """

    @abstractmethod
    def get(self, digest: str, offset: int = 0, limit: int | None = None) -> bytes:
        """At most `limit` bytes of the value, from `offset` on.

        Raises:
            NotFound: if the store does not have the value.
            InvalidInput: if offset or limit is negative, or if the offset is behind the value's
                end.
            StoreCorrupt: if the value is damaged.
        """

    @abstractmethod
    def refer(self, study_id: str, name: str, digest: str) -> None:
        """Add a named reference from a study to a value, which is then stored as long as the study.

        A later call with the same name replaces the reference.

        Raises:
            NotFound: if the store does not have the value.
        """

    @abstractmethod
    def of_study(self, study_id: str) -> dict[str, str]:
        """The digests of the values that a study refers to, by name of the reference."""

    @abstractmethod
    def collect(self, seconds: float = 86_400.0) -> int:
        """Remove the values that are older than `seconds` and that no study refers to.

        Returns:
            The number of removed values.
        """
