"""Accounts: who pays for what is new, and how much this principal may use.

The store checks an account in the transaction that writes what is new, so that two requests at the
same time, also of two servers, cannot use the same remainder.
"""

from __future__ import annotations

from dataclasses import dataclass

from blackbox_am.errors import QuotaExceeded


@dataclass(frozen=True, slots=True)
class Account:
    """A principal and its limits; None does not limit.

    Attributes:
        principal: name of the principal.
        studies: number of studies that exist at a time.
        queries: rows of the server's oracles, over all time.
        stored_bytes: bytes of the written artifacts.
    """

    principal: str
    studies: int | None = None
    queries: int | None = None
    stored_bytes: int | None = None

    def check_studies(self, has: int, more: int = 1) -> None:
        """Checks that the principal may have more studies.

        Raises:
            QuotaExceeded: if it may not.
        """
        if self.studies is not None and more and has + more > self.studies:
            raise QuotaExceeded(
                f"{self.principal!r} has {has} of {self.studies} studies, and this needs {more} "
                "more; delete some first, or ask an operator for a larger quota"
            )

    def check_queries(self, used: int, rows: int) -> None:
        """Checks that the principal may order more rows of oracles.

        Raises:
            QuotaExceeded: if it may not.
        """
        if self.queries is not None and rows > 0 and used + rows > self.queries:
            raise QuotaExceeded(
                f"{self.principal!r} has {max(self.queries - used, 0)} of {self.queries} queries "
                f"left, and this needs {rows}; ask for fewer, or ask an operator for a larger quota"
            )

    def check_bytes(self, stored: int, size: int) -> None:
        """Checks that the principal may store another artifact.

        Raises:
            QuotaExceeded: if it may not.
        """
        if self.stored_bytes is not None and stored + size > self.stored_bytes:
            raise QuotaExceeded(
                f"{self.principal!r} has stored {stored} of {self.stored_bytes} bytes, and this "
                f"has {size}; delete studies whose artifacts are not needed, or ask an operator "
                "for a larger quota"
            )


@dataclass(frozen=True, slots=True)
class Order:
    """What a new study takes from an account.

    Attributes:
        account: of the principal to whom the study belongs.
        rows: rows of oracles that the study may use.
    """

    account: Account
    rows: int = 0
