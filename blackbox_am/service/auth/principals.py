"""The caller of the current call: its name and its role."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum

from blackbox_am.errors import InvalidInput, did_you_mean

_NAME = re.compile(r"[a-z][a-z0-9._-]{0,62}")


class Role(IntEnum):
    """What a caller may do; each role may do what the smaller ones may."""

    READER = 1
    """See the own studies and the catalogue."""
    RUNNER = 2
    """Create, evaluate and control the own studies, and observe oracles."""
    OPERATOR = 3
    """The same with the studies of all callers."""

    @property
    def word(self) -> str:
        """The role as a user writes it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller that showed a valid token.

    Attributes:
        name: of the caller.
        role: what the caller may do.
        token_id: the public part of the token.
    """

    name: str
    role: Role
    token_id: str = ""

    @property
    def sees_all(self) -> bool:
        """Whether the caller sees what belongs to others."""
        return self.role is Role.OPERATOR


_caller: ContextVar[Principal | None] = ContextVar("caller", default=None)


def caller() -> Principal | None:
    """The caller of the current call; None on a server without tokens, and for the server itself.
    None may do everything.
    """
    return _caller.get()


def only_of() -> str | None:
    """The name of the caller, for lists of what belongs to it; None for one that sees all."""
    principal = _caller.get()
    return None if principal is None or principal.sees_all else principal.name


def enter(principal: Principal | None) -> None:
    """Sets the caller for the rest of the current task."""
    _caller.set(principal)


@contextmanager
def acting_as(principal: Principal | None) -> Iterator[None]:
    """Sets the caller inside the context."""
    before = _caller.set(principal)
    try:
        yield
    finally:
        _caller.reset(before)


def role_of(word: str) -> Role:
    """The role that a user writes.

    Raises:
        InvalidInput: for an unknown role.
    """
    words = {role.word: role for role in Role}
    if word not in words:
        known = did_you_mean(word, words)
        raise InvalidInput(f"there is no role {word[:40]!r}{known}", field="role")
    return words[word]


def check_name(name: str) -> str:
    """Checks the name of a principal, and returns it.

    Raises:
        InvalidInput: saying what a name looks like.
    """
    if _NAME.fullmatch(name) is None:
        raise InvalidInput(
            f"{name[:80]!r} is not the name of a principal; expected a small letter, then up to 62 "
            "small letters, digits, dots, hyphens and underscores, such as 'ann' or 'rig-2'",
            field="name",
        )
    return name
