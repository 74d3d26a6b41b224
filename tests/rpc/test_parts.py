"""Parts written and read by hand are those that protobuf writes and reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_am.rpc import chunks, parts
from blackbox_am.v1 import oracle_service_pb2 as pb
from blackbox_am.v1.tensor_pb2 import Chunk

read = parts.reader(pb.ObserveStreamRequest.FromString)


def pieces(data, size):
    return [data[start : start + size] for start in range(0, len(data), size)]


@given(st.binary(max_size=600), st.integers(1, 300))
def test_protobuf_reads_what_is_written(data, size):
    written = list(parts.split(pieces(data, size), len(data)))
    expected = list(chunks.split(data, size))
    assert [pb.ObserveStreamRequest.FromString(part).chunk for part in written] == expected


LARGE = st.integers(1, 2**63 - 1)


@given(LARGE | st.just(0), st.binary(min_size=1, max_size=300), st.integers(1, 2**32 - 1), LARGE)
def test_what_protobuf_writes_is_read_without_it(offset, data, crc, total):
    chunk = Chunk(offset=offset, data=data, crc32c=crc, total_size=total)
    for message in (pb.ObserveStreamRequest(chunk=chunk), pb.ObserveStreamResponse(chunk=chunk)):
        part = read(message.SerializeToString())
        assert isinstance(part, parts.Part)
        assert part.WhichOneof("part") == "chunk"
        found = part.chunk
        assert (found.offset, found.data, found.crc32c, found.total_size) == (
            offset,
            data,
            crc,
            total,
        )


def whole():
    chunk = Chunk(offset=300, data=b"abc", crc32c=7, total_size=900)
    return pb.ObserveStreamRequest(chunk=chunk)


INNER = whole().chunk.SerializeToString()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        pb.ObserveStreamRequest(header=pb.ObserveRequest(oracle="x")).SerializeToString(),
        whole().SerializeToString() + b"\x78\x01",  # a field that nobody knows
        b"\x12" + bytes([len(INNER) + 2]) + INNER + b"\x78\x01",
        b"\x12" + bytes([len(INNER)]) + INNER[3:] + INNER[:3],  # another order
        b"\x12\x00",
        b"\x12\x05" + Chunk(data=b"abc").SerializeToString(),  # what is 0 is not written
    ],
)
def test_what_is_laid_out_in_another_way_is_read_as_a_message(data):
    assert read(data) == pb.ObserveStreamRequest.FromString(data)


@given(st.data())
def test_bytes_that_make_no_sense_are_left_to_protobuf(data):
    good = bytearray(whole().SerializeToString())
    place = data.draw(st.integers(0, len(good) - 1))
    good[place] = data.draw(st.integers(0, 255))
    cut = bytes(good[: data.draw(st.integers(0, len(good)))])
    seen = parts.reader(lambda raw: raw)(cut)
    if isinstance(seen, parts.Part):  # then protobuf reads the same
        chunk = pb.ObserveStreamRequest.FromString(cut).chunk
        found = seen.chunk
        assert (found.offset, found.data, found.crc32c, found.total_size) == (
            chunk.offset,
            chunk.data,
            chunk.crc32c,
            chunk.total_size,
        )
    else:
        assert seen == cut
