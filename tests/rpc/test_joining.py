"""A header and chunks become a tensor; anything else is refused in a sentence."""

import numpy as np
import pytest

from blackbox_am.errors import InvalidInput, ShapeMismatch
from blackbox_am.rpc import chunks, tensors
from blackbox_am.rpc.joining import TensorJoiner
from blackbox_am.v1 import catalog_service_pb2 as catalog_pb
from blackbox_am.v1 import oracle_service_pb2 as oracle_pb

ARRAY = np.arange(30, dtype=np.float32).reshape(5, 6)


def rendered():
    """The parts of an answer to Render, and what joins them."""
    part = catalog_pb.RenderResponse
    parts = [part(header=catalog_pb.RenderHeader(stimuli=tensors.header("float32", ARRAY.shape)))]
    parts += [part(chunk=chunk) for chunk in chunks.split(ARRAY.tobytes(), 40)]
    return parts, TensorJoiner("stimuli", lambda header: header.stimuli)


def observed():
    """The parts of a request of ObserveStream, whose header says more, and what joins them."""
    part = oracle_pb.ObserveStreamRequest
    stimuli = tensors.header("float32", ARRAY.shape)
    parts = [part(header=oracle_pb.ObserveRequest(oracle="sim", stimuli=stimuli))]
    parts += [part(chunk=chunk) for chunk in chunks.split(ARRAY.tobytes(), 40)]
    return parts, TensorJoiner("stimuli", lambda header: header.stimuli)


def join(parts, joiner):
    for part in parts:
        joiner.add(part)
    return joiner.result()


@pytest.mark.parametrize("stream", [rendered, observed])
def test_the_parts_are_joined_to_header_and_tensor(stream):
    parts, joiner = stream()
    header, found = join(parts, joiner)
    assert header == joiner.header == parts[0].header
    np.testing.assert_array_equal(found, ARRAY)


@pytest.mark.parametrize("stream", [rendered, observed])
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda parts: parts[1:], "a header first, then chunks; got chunk before it"),
        (lambda parts: parts[:2] + parts, "a second header"),
        (lambda parts: [type(parts[0])(), *parts], "nothing before it"),
        (lambda parts: [parts[0], type(parts[0])()], "a part without either"),
        (lambda parts: [parts[0], *parts[2:]], "expected the chunk at offset 0"),
        (lambda parts: parts[:-1], "ended after 80 of 120"),
        (lambda parts: [], "no header"),
    ],
)
def test_broken_streams_are_refused(stream, change, says):
    parts, joiner = stream()
    with pytest.raises(InvalidInput, match=says):
        join(change(parts), joiner)


def test_a_header_is_looked_at_before_there_is_room_for_its_tensor():
    (part, *_), _ = rendered()
    with pytest.raises(InvalidInput, match="at most 100"):
        TensorJoiner("stimuli", lambda header: header.stimuli, limit=100).add(part)
    part.header.stimuli.shape[:] = [2**40, 2**40]
    seen = []

    def check(header):
        seen.append(list(header.shape))
        raise ShapeMismatch("another shape")

    with pytest.raises(ShapeMismatch, match="another shape"):
        TensorJoiner("stimuli", lambda header: header.stimuli, check=check).add(part)
    assert seen == [[2**40, 2**40]]
