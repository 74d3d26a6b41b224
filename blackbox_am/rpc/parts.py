"""The chunks of a stream as bytes on the wire, without the copies that messages make.

A message copies its bytes when it is filled, written and read, and at each access. For a hundred
megabytes, the copies take longer than sending. This module therefore writes and reads the parts of
a stream that contain a chunk itself: field 2 of `ObserveStreamRequest` and `ObserveStreamResponse`,
with the fields of `Chunk` in order, as every protobuf library writes them. Parts with another
layout are read as ordinary messages.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

import google_crc32c

M = TypeVar("M")

_CHUNK_FIELD = b"\x12"  # field 2, with a length
_OFFSET, _DATA, _CRC, _TOTAL = b"\x08", b"\x12", b"\x1d", b"\x20"
_FIXED32 = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a stream with a chunk, with the interface of the message."""

    chunk: Piece

    def WhichOneof(self, group: str) -> Literal["chunk"]:  # noqa: N802  # as in the message
        """Which of the fields of the part is set."""
        del group
        return "chunk"


@dataclass(frozen=True, slots=True)
class Piece:
    """The content of a `Chunk`."""

    offset: int
    data: bytes
    crc32c: int
    total_size: int

    def HasField(self, field_name: str, /) -> bool:  # noqa: N802  # as in the message
        """Whether the field is set. With the layout of `split`, all fields are set."""
        del field_name
        return True


def split(pieces: Iterable[bytes], total: int) -> Iterator[bytes]:
    """The parts that carry `pieces`, `total` bytes in all, as bytes on the wire."""
    offset = 0
    for piece in pieces:
        before = (_OFFSET, _varint(offset), _DATA, _varint(len(piece)))
        after = (_CRC, _FIXED32.pack(google_crc32c.value(piece)), _TOTAL, _varint(total))
        length = sum(map(len, (*before, piece, *after)))
        yield b"".join((_CHUNK_FIELD, _varint(length), *before, piece, *after))
        offset += len(piece)


def reader(message: Callable[[bytes], M]) -> Callable[[bytes], M | Part]:
    """A function that reads a part of a stream; `message` reads parts without a chunk."""

    def read(data: bytes) -> M | Part:
        return _part(data) or message(data)

    return read


def _part(data: bytes) -> Part | None:
    """The part with a chunk, if `data` has the layout of `split`; else None."""
    try:
        if data[:1] != _CHUNK_FIELD:
            return None
        length, at = _number(data, 1)
        if at + length != len(data):
            return None
        offset = 0
        if data[at : at + 1] == _OFFSET:
            offset, at = _number(data, at + 1)
        if data[at : at + 1] != _DATA:
            return None
        length, at = _number(data, at + 1)
        start, at = at, at + length
        if data[at : at + 1] != _CRC or data[at + 5 : at + 6] != _TOTAL:
            return None
        (checksum,) = _FIXED32.unpack_from(data, at + 1)
        total, end = _number(data, at + 6)
    except IndexError:
        return None
    if end != len(data):
        return None
    return Part(Piece(offset, data[start:at], checksum, total))


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """The varint at `at`, at most 9 bytes long, and the position of its end.

    Raises:
        IndexError: if no complete varint is there.
    """
    number = 0
    for shift in range(0, 63, 7):
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise IndexError
