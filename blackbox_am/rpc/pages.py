"""Pages of a listing, after AIP-158: a size, and an opaque token for where to go on.

https://google.aip.dev/158. A token holds the position and the other parameters of the
listing, so that one from another listing is refused.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import msgspec
from google.protobuf.message import Message

from blackbox_am.errors import InvalidInput

PAGE_BYTES = 3 * 2**20
"""A page ends before it grows above this, so that it fits into a message of 4 MiB."""
MAX_PAGE_SIZE = 1000

Cursor = int | str
M = TypeVar("M", bound=Message)


def page_size(asked: int, default: int) -> int:
    """How many entries a page may hold.

    Raises:
        InvalidInput: for a negative size.
    """
    if asked < 0:
        raise InvalidInput(f"page_size must be 0 or more, got {asked}", field="page_size")
    return min(asked or default, MAX_PAGE_SIZE)


def encode(cursor: Cursor, scope: str) -> str:
    """A token that goes on after `cursor` in the listing that `scope` describes."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode([cursor, scope])).decode().rstrip("=")


def decode(token: str, scope: str, start: Cursor) -> Cursor:
    """Where to go on: the cursor in `token`, or `start` where there is no token.

    Raises:
        InvalidInput: where the token was not returned by this listing.
    """
    if not token:
        return start
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        cursor, of = msgspec.msgpack.decode(raw, type=tuple[Cursor, str])
    except (binascii.Error, msgspec.MsgspecError, ValueError):
        cursor, of = "", ""
    if of != scope or type(cursor) is not type(start):
        raise InvalidInput(
            "page_token is not one that this listing returned; pass next_page_token of the page "
            "before, with the other fields unchanged, or leave it empty",
            field="page_token",
        )
    return cursor


def fill(
    entries: Iterable[tuple[Cursor, M]], size: int, scope: str, *, limit: int = PAGE_BYTES
) -> tuple[list[M], str]:
    """One page out of `entries`, which begin where the page does.

    Args:
        entries: (cursor, message) in order; the cursor is what goes on after the entry.
        size: how many at most.
        scope: of the listing.
        limit: bytes at most; the first entry is taken whatever its size.

    Returns:
        The messages, and the next page's token: empty where nothing follows.
    """
    page: list[M] = []
    total, last = 0, None
    for cursor, message in entries:
        total += message.ByteSize() + 8
        if page and (len(page) == size or total > limit):
            assert last is not None  # set with the page's first entry
            return page, encode(last, scope)
        page.append(message)
        last = cursor
    return page, ""


def walk(fetch: Callable[[str], tuple[Iterable[M], str]]) -> Iterator[M]:
    """Every entry of a listing, page after page.

    Args:
        fetch: a page by its token: the entries, and the next token.
    """
    token = ""
    while True:
        entries, token = fetch(token)
        yield from entries
        if not token:
            return
