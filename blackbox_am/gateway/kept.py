"""Content that is kept in memory, up to a number of bytes."""

from __future__ import annotations

from collections import OrderedDict


class Kept:
    """Byte strings by key; the least recently used are dropped first.

    Args:
        most_bytes: largest number of bytes of all strings.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._content: OrderedDict[str, bytes] = OrderedDict()

    def get(self, key: str) -> bytes | None:
        """The content of a key; None if it is not kept."""
        found = self._content.get(key)
        if found is not None:
            self._content.move_to_end(key)
        return found

    def put(self, key: str, content: bytes) -> None:
        """Keeps the content of a key."""
        self._bytes += len(content) - len(self._content.pop(key, b""))
        self._content[key] = content
        while self._bytes > self._most_bytes:
            _, dropped = self._content.popitem(last=False)
            self._bytes -= len(dropped)
