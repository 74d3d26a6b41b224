"""Large batches of stimuli on their way to an oracle: `ObserveStream`, as who calls it sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.tensors import to_bytes, to_uint8
from blackbox_am.errors import InvalidInput
from blackbox_am.rpc import chunks, parts, tensors
from blackbox_am.v1 import oracle_service_pb2 as pb
from blackbox_am.v1.tensor_pb2 import Tensor

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


def incoming(answer: Iterator[Any], check: Callable[[Tensor], None] | None = None) -> Array:
    """The activations in the parts of an answer.

    Args:
        answer: the parts.
        check: told of the header, before anything more is read.

    Raises:
        InvalidInput: for damaged chunks, another order, or no header.
    """
    header, joiner = None, None
    for part in answer:
        if part.WhichOneof("part") == "header" and header is None:
            header = part.header.activations
            total = tensors.size_of(header, field="activations")
            if check is not None:
                check(header)
            joiner = chunks.Joiner(total)
        elif joiner is not None and part.WhichOneof("part") == "chunk":
            joiner.add(part.chunk)
        else:
            raise InvalidInput("expected a header first, then chunks")
    if header is None or joiner is None:
        raise InvalidInput("the stream held no header")
    return tensors.from_header(header, joiner.result(), field="activations")
