"""Chunks are joined to what was split; damage, gaps and disorder are found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_am.errors import InvalidInput
from blackbox_am.rpc import chunks
from blackbox_am.v1.tensor_pb2 import Chunk


@given(st.binary(max_size=200), st.integers(1, 64))
def test_what_is_split_is_joined(data, size):
    joiner = chunks.Joiner(len(data))
    for chunk in chunks.split(data, size):
        joiner.add(Chunk.FromString(chunk.SerializeToString()))
    assert joiner.result() == data


def test_the_checksum_is_crc32c():
    (chunk,) = chunks.split(b"123456789")
    assert chunk.crc32c == 0xE3069283  # the check value of CRC-32C (RFC 3720)


def pieces():
    return list(chunks.split(bytes(range(100)), 40))


def join(parts, total=100):
    joiner = chunks.Joiner(total)
    for part in parts:
        joiner.add(part)
    return joiner.result()


def test_damage_is_found():
    first, second, third = pieces()
    flipped = bytearray(second.data)
    flipped[7] ^= 1
    second.data = bytes(flipped)
    with pytest.raises(InvalidInput, match="offset 40 is damaged"):
        join([first, second, third])


@pytest.mark.parametrize("order", [[0, 2], [1], [0, 0], [0, 1, 2, 2]])
def test_disorder_is_found(order):
    with pytest.raises(InvalidInput, match="expected the chunk at offset"):
        join([pieces()[i] for i in order])


def test_an_early_end_is_found():
    with pytest.raises(InvalidInput, match="ended after 80 of 100"):
        join(pieces()[:2])


def test_more_than_was_announced_is_refused():
    with pytest.raises(InvalidInput):
        join(pieces(), total=90)
    (chunk,) = chunks.split(b"abc")
    chunk.total_size = 2
    with pytest.raises(InvalidInput, match="more than the 2 bytes"):
        join([chunk], total=2)


def test_too_much_is_refused_before_it_is_sent():
    with pytest.raises(InvalidInput, match="at most 10"):
        chunks.Joiner(11, limit=10)
