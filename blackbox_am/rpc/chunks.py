"""Long byte strings in pieces of 1 MiB, each with its offset and, if this package sends it, its
checksum.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

import google_crc32c
import numpy as np

from blackbox_am.errors import InvalidInput
from blackbox_am.v1.tensor_pb2 import Chunk

CHUNK_BYTES = 2**20
STREAM_ABOVE_BYTES = 2 * 2**20
"""Larger byte strings are sent in chunks."""
MAX_STREAM_BYTES = 2**29
"""Default limit in bytes of a receiver."""


class AnyChunk(Protocol):
    """A `Chunk`, or an object with the same fields."""

    @property
    def offset(self) -> int: ...
    @property
    def data(self) -> bytes: ...
    @property
    def crc32c(self) -> int: ...
    @property
    def total_size(self) -> int: ...
    def HasField(self, field_name: Literal["crc32c"], /) -> bool: ...  # noqa: N802


def split(
    data: bytes, chunk_bytes: int = CHUNK_BYTES, *, start: int = 0, total: int | None = None
) -> Iterator[Chunk]:
    """`data` in chunks; no chunk if `data` is empty.

    Args:
        data: the bytes, or a part of them.
        chunk_bytes: length of a chunk.
        start: offset of `data` in the whole.
        total: length of the whole; that of `data` if None.
    """
    for offset in range(0, len(data), chunk_bytes):
        piece = data[offset : offset + chunk_bytes]
        yield Chunk(
            offset=start + offset,
            data=piece,
            crc32c=google_crc32c.value(piece),
            total_size=len(data) if total is None else total,
        )


class Joiner:
    """Joins chunks in order.

    Args:
        total: number of announced bytes.
        limit: largest accepted number of bytes.

    Raises:
        InvalidInput: if `total` is above `limit`.
    """

    def __init__(self, total: int, *, limit: int = MAX_STREAM_BYTES) -> None:
        if total > limit:
            raise InvalidInput(
                f"a stream of {total} bytes is announced, at most {limit} are taken; "
                "send fewer rows at a time",
                field="chunk",
            )
        self._total = total
        # The array has the announced size, but the system provides memory only for written parts.
        self._data = np.empty(total, np.uint8).data
        self._end = 0

    def add(self, chunk: AnyChunk) -> None:
        """Add the next chunk.

        Raises:
            InvalidInput: if the chunk is damaged (checked if it has a checksum) or not the next
                one.
        """
        data = chunk.data  # a message copies the data at each access
        end = self._end + len(data)
        if chunk.offset != self._end or chunk.total_size != self._total:
            raise InvalidInput(
                f"expected the chunk at offset {self._end} of {self._total} bytes, got "
                f"offset {chunk.offset} of {chunk.total_size}; send the chunks in order",
                field="chunk",
            )
        if end > self._total:
            raise InvalidInput(
                f"the chunks hold more than the {self._total} bytes announced", field="chunk"
            )
        if chunk.HasField("crc32c") and google_crc32c.value(data) != chunk.crc32c:
            raise InvalidInput(
                f"the chunk at offset {chunk.offset} is damaged: its crc32c does not match; "
                "send it again",
                field="chunk",
            )
        self._data[self._end : end] = data
        self._end = end

    def result(self) -> memoryview:
        """All bytes, (total,); the caller becomes the only owner of the array.

        Raises:
            InvalidInput: if bytes are missing.
        """
        if self._end != self._total:
            raise InvalidInput(
                f"the stream ended after {self._end} of {self._total} bytes", field="chunk"
            )
        return self._data
