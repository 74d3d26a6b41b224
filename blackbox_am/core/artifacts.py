"""The contract of a store for large values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable


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
