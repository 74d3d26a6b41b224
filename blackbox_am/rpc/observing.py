"""Large batches of stimuli for an oracle: the caller's side of `ObserveStream`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.tensors import to_bytes, to_uint8
from blackbox_am.rpc import chunks, parts, tensors
from blackbox_am.rpc.joining import TensorJoiner
from blackbox_am.v1 import oracle_service_pb2 as pb
from blackbox_am.v1.tensor_pb2 import Tensor

Array = NDArray[Any]

METHOD = "/blackbox_am.v1.OracleService/ObserveStream"


def method(channel: grpc.Channel) -> grpc.StreamStreamMultiCallable:
    """The method: its argument is the result of `outgoing`, and `incoming` reads its answer."""
    return channel.stream_stream(
        METHOD, response_deserializer=parts.reader(pb.ObserveStreamResponse.FromString)
    )


def outgoing(request: pb.ObserveRequest, stimuli: Array, dtype: str) -> Iterator[bytes]:
    """The parts of a stream, as bytes on the wire.

    Args:
        request: the request, without stimuli.
        stimuli: (N, *stimulus), not empty: uint8, or float32 in [0, 1].
        dtype: of the sent stimuli: `float32`, or `uint8`. Values are rounded piece by piece while
            the server reads earlier pieces.
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
        check: called with the header before any chunk is read.

    Raises:
        InvalidInput: for damaged chunks, another order, or no header.
    """
    activations = TensorJoiner[pb.ObserveResponse](
        "activations", lambda header: header.activations, check=check
    )
    for part in answer:
        activations.add(part)
    return activations.result()[1]
