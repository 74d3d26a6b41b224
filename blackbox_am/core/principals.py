"""The contract of a store for callers: their tokens, what belongs to whom, and what they used."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from blackbox_am.core.accounts import Account


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token as the store keeps it: without the secret.

    Attributes:
        token_id: the public part, which names the token in lists and logs.
        principal: name of the caller.
        role: what the caller may do.
        digest: SHA-256 of the whole token, as hexadecimal digits.
        created_at, expires_at, revoked_at: seconds since the epoch; None for never.
    """

    token_id: str
    principal: str
    role: str
    digest: str
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None

    def state(self, now: float) -> str:
        """`valid`, `expired` or `revoked` at a time."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "valid"


class Tokens(ABC):
    """The tokens of a store. Every method is safe to call from any thread."""

    @abstractmethod
    def add(self, token: StoredToken) -> None:
        """Keep a new token."""

    @abstractmethod
    def find(self, token_id: str) -> StoredToken | None:
        """The token with this public part, also an expired or revoked one; None if unknown."""

    @abstractmethod
    def known(self) -> list[StoredToken]:
        """All tokens, also expired and revoked ones, by principal and time of creation."""

    @abstractmethod
    def exist(self) -> bool:
        """Whether a token was ever added: the store then belongs to callers with tokens."""

    @abstractmethod
    def revoke(self, name: str, now: float) -> list[str]:
        """Revoke one token by its public part, or all valid tokens of a principal by its name.

        Returns:
            The public parts of the tokens that were revoked by this call.
        """


class Claims(ABC):
    """Which principal owns a study or a group, which principals wrote an artifact, and how many
    rows principals ordered.

    A resource is named as on the wire: `studies/{id}`, `groups/{id}`. A claim is written in the
    transaction that creates the study, group or artifact, and ends with its deletion. A principal
    that wrote an artifact also loses it with the last of its studies that refer to the artifact.
    """

    @abstractmethod
    def owner(self, resource: str) -> str:
        """The owner of a resource; empty if nobody owns it."""

    @abstractmethod
    def owned(self, principal: str, kind: str) -> list[str]:
        """The ids of the `studies` or `groups` of a principal, sorted."""

    @abstractmethod
    def count(self, principal: str, kind: str) -> int:
        """The number of the `studies` or `groups` of a principal."""

    @abstractmethod
    def writers(self, digest: str) -> set[str]:
        """The principals that wrote an artifact."""

    @abstractmethod
    def stored_bytes(self, principal: str) -> int:
        """The bytes of all artifacts that a principal wrote and that it did not lose."""

    @abstractmethod
    def order(self, account: Account, rows: int) -> None:
        """Adds rows of oracles to those that a principal ordered.

        A loss of power can undo an order, until the store writes something durable.

        Raises:
            QuotaExceeded: if the account has fewer left. Nothing is then added.
        """

    @abstractmethod
    def give_back(self, principal: str, rows: int) -> None:
        """Undoes an order of rows that nobody used."""

    @abstractmethod
    def ordered(self, principal: str) -> int:
        """The rows that a principal ordered, over all time."""
