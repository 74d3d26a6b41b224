"""Tokens: made, and checked at each call.

A token is `bam_ID_SECRET`: 8 hexadecimal digits that name the token, and 32 random bytes. The store
has the SHA-256 of the whole token; a slow hash is not needed, because nobody can guess 256 random
bits.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Any

from blackbox_am.core.principals import StoredToken, Tokens
from blackbox_am.errors import InvalidInput, StoreError, Unauthenticated
from blackbox_am.rpc.channels import AUTHORIZATION, SCHEME
from blackbox_am.service.auth.principals import Principal, Role, check_name, role_of

PREFIX = "bam_"
ID_BYTES = 4
SECRET_BYTES = 32
LONGEST_TOKEN = 128
REMEMBER_SECONDS = 1.0
"""Seconds for which an answer of the store is used again; a token is refused that long after its
revocation.
"""
REMEMBERED = 10_000
"""Number of tokens that are remembered at most."""


def issue(tokens: Tokens, name: str, role: Role, seconds: float | None = None) -> tuple[str, str]:
    """Makes a token and keeps its digest.

    Args:
        tokens: where it is kept.
        name: of the principal.
        role: what the principal may do.
        seconds: after which the token expires; None for never.

    Returns:
        The public part, and the whole token, which nobody can read again.

    Raises:
        InvalidInput: for a name or a duration that cannot be.
    """
    check_name(name)
    if seconds is not None and not 0 < seconds < 1e10:
        raise InvalidInput(f"expected a positive duration, got {seconds:g} s", field="expires")
    token_id = secrets.token_hex(ID_BYTES)
    token = f"{PREFIX}{token_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
    now = time.time()
    end = None if seconds is None else now + seconds
    tokens.add(StoredToken(token_id, name, role.word, _digest(token), now, end))
    return token_id, token


class Authenticator:
    """Finds the principal of a call. Safe to use from any thread.

    A store belongs to callers with tokens from its first token on, and stays so when all tokens are
    revoked.

    Args:
        tokens: the tokens of the store.
        wall: seconds since the epoch.
        clock: seconds of a clock that is never set.
    """

    def __init__(
        self,
        tokens: Tokens,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tokens = tokens
        self._wall = wall
        self._clock = clock
        self._exist = tokens.exist()
        self._looked = clock()
        self._known: dict[str, tuple[StoredToken | None, float]] = {}

    def lately_open(self) -> bool:
        """Whether the last look, a moment ago, found that no token is needed. Never waits."""
        return not self._exist and self._clock() < self._looked + REMEMBER_SECONDS

    def required(self) -> bool:
        """Whether callers need a token. May read the store."""
        if not self._exist and self._clock() >= self._looked + REMEMBER_SECONDS:
            self._looked = self._clock()
            try:
                self._exist = self._tokens.exist()
            except StoreError:
                return self._exist  # the call itself will say what is wrong with the store
        return self._exist

    def principal(self, metadata: Any) -> Principal | None:
        """The principal that the metadata of a call prove; None if no token is needed. May read the
        store.

        Raises:
            Unauthenticated: without a token, and for one that is unknown, expired or revoked.
        """
        if not self.required():
            return None
        shown = [text for key, text in metadata or () if key == AUTHORIZATION]
        if not shown:
            raise Unauthenticated(
                "this server needs a token: pass one as connect(token=...), --token-file or the "
                "environment's BLACKBOX_AM_TOKEN; an operator makes one with `blackbox-am token "
                "create`"
            )
        if len(shown) > 1 or not str(shown[0])[: len(SCHEME)].lower() == SCHEME.lower():
            raise Unauthenticated("expected one header `authorization: Bearer TOKEN`")
        return self._proven(str(shown[0])[len(SCHEME) :].strip())

    def _proven(self, token: str) -> Principal:
        if len(token) > LONGEST_TOKEN:
            raise Unauthenticated(_UNKNOWN)
        token_id = token.removeprefix(PREFIX).partition("_")[0]
        stored = self._find(token_id)
        expected = _digest("") if stored is None else stored.digest
        same = hmac.compare_digest(_digest(token), expected)
        if stored is None or not same:
            raise Unauthenticated(_UNKNOWN)
        state = stored.state(self._wall())
        if state != "valid":
            what = "was revoked" if state == "revoked" else "has expired"
            raise Unauthenticated(f"the token {token_id} {what}; ask an operator for a new one")
        return Principal(stored.principal, role_of(stored.role), token_id)

    def _find(self, token_id: str) -> StoredToken | None:
        now = self._clock()
        stored, until = self._known.get(token_id, (None, -1.0))
        if until <= now:
            stored = self._tokens.find(token_id)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[token_id] = (stored, now + REMEMBER_SECONDS)
        return stored


_UNKNOWN = "this server does not know the token; ask an operator for a new one"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
