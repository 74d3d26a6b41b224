"""Large batches of stimuli on their way to an oracle: `ObserveStream`, as who calls it sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.tensors import to_bytes, to_uint8
from blackbox_am.errors import InvalidInput
from blackbox_am.rpc import chunks, parts, tensors
from blackbox_am.v1 import oracle_service_pb2 as pb

Array = NDArray[Any]

METHOD = "/blackbox_am.v1.OracleService/ObserveStream"


def method(channel: grpc.Channel) -> grpc.StreamStreamMultiCallable:
    """The method itself: it takes what `outgoing` yields, and `incoming` reads its answer."""
    return channel.stream_stream(
        METHOD, response_deserializer=parts.reader(pb.ObserveStreamResponse.FromString)
    )


def outgoing(request: pb.ObserveRequest, stimuli: Array, dtype: str) -> Iterator[bytes]:
    """The parts of a stream, as bytes on the wire.

    Args:
        request: what is asked, without stimuli.
        stimuli: (N, *stimulus), not empty: uint8, or float32 in [0, 1].
        dtype: what they travel as: `float32`, or `uint8`, rounded piece by piece while the
            server reads those before.
    """
    header = pb.ObserveRequest(stimuli=tensors.header(dtype, stimuli.shape))
    header.MergeFrom(request)
    total = tensors.size_of(header.stimuli)
    numbers = np.ascontiguousarray(stimuli).reshape(-1)
    step = chunks.CHUNK_BYTES * len(numbers) // total
    blocks = (numbers[start : start + step] for start in range(0, len(numbers), step))
    pieces = (to_bytes(to_uint8(block) if dtype == "uint8" else block) for block in blocks)
    yield pb.ObserveStreamRequest(header=header).SerializeToString()
    yield from parts.split(pieces, total)


def incoming(answer: Iterator[Any]) -> Array:
    """The activations in the parts of an answer.

    Raises:
        InvalidInput: for damaged chunks, another order, or no header.
    """
    header, joiner = None, None
    for part in answer:
        if part.WhichOneof("part") == "header":
            header = part.header.activations
            joiner = chunks.Joiner(tensors.size_of(header, field="activations"))
        elif joiner is not None:
            joiner.add(part.chunk)
    if header is None or joiner is None:
        raise InvalidInput("the stream held no header")
    return tensors.from_header(header, joiner.result(), field="activations")
