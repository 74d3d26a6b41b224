"""Pages of a listing, according to AIP-158: a size, and an opaque token for the next page.

https://google.aip.dev/158. A token contains the position and the other parameters of the listing,
so a token of another listing is refused.
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
"""Largest size of a page in bytes, so that a page fits into a message of 4 MiB."""
MAX_PAGE_SIZE = 1000

Cursor = int | str
M = TypeVar("M", bound=Message)


def page_size(asked: int, default: int) -> int:
    """The largest number of entries of a page.

    Raises:
        InvalidInput: for a negative size.
    """
    if asked < 0:
        raise InvalidInput(f"page_size must be 0 or more, got {asked}", field="page_size")
    return min(asked or default, MAX_PAGE_SIZE)


def encode(cursor: Cursor, scope: str) -> str:
    """A token that continues after `cursor` in the listing that `scope` describes."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode([cursor, scope])).decode().rstrip("=")


def decode(token: str, scope: str, start: Cursor) -> Cursor:
    """The position to continue from: the cursor in `token`, or `start` without a token.

    Raises:
        InvalidInput: if the token does not come from this listing.
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
    """One page of `entries`, which begin at the start of the page.

    Args:
        entries: (cursor, message) in order; a listing continues after the entry from its cursor.
        size: largest number of entries.
        scope: of the listing.
        limit: largest number of bytes; the first entry may be larger.

    Returns:
        The messages, and the token of the next page: empty after the last page.
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
        fetch: function of a token that returns the entries of a page and the next token.
    """
    token = ""
    while True:
        entries, token = fetch(token)
        yield from entries
        if not token:
            return
