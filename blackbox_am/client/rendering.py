"""Latents and stimuli of a generator on a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
import numpy as np
from numpy.typing import ArrayLike, NDArray

from blackbox_am.client.connection import SEND_BYTES, Connection
from blackbox_am.core.tensors import one_a_row
from blackbox_am.errors import InvalidInput, ServerFailed
from blackbox_am.rpc import tensors
from blackbox_am.rpc.joining import TensorJoiner
from blackbox_am.rpc.status import from_rpc_error
from blackbox_am.v1 import catalog_service_pb2 as pb

MAX_BYTES = 2**32
"""Largest size of one call's answer, in bytes."""
ROWS = 64
"""Largest number of stimuli that one call requests."""


def sample(connection: Connection, generator: str, n: int, seed: int) -> NDArray[Any]:
    """(n, D) latents from the generator's prior."""
    request = pb.SampleRequest(generator=generator, count=min(n, 2**31 - 1), seed=seed)
    call = connection.catalog.Sample(request, timeout=connection.timeout)
    joiner = TensorJoiner[pb.SampleHeader](
        "latents", lambda header: header.latents, limit=MAX_BYTES
    )
    return _joined(connection, call, joiner)


def render(
    connection: Connection,
    generator: str,
    latents: ArrayLike,
    targets: ArrayLike | None,
    dtype: str,
    on_rows: Callable[[int], None] | None,
) -> NDArray[Any]:
    """(N, *stimulus), for latents (N, D), which are sent in pieces of a size that the server
    accepts, each with the targets of its rows.
    """
    array = _numbers(latents)
    wanted = tensors.stimulus_dtype(dtype)
    rendered: list[NDArray[Any]] = []
    for start, piece, mine in _pieces(array, _whole(targets)):
        request = pb.RenderRequest(
            generator=generator,
            latents=tensors.to_proto(piece),
            stimulus_dtype=wanted,
            targets=mine,
        )
        call = connection.catalog.Render(request, timeout=connection.timeout)
        joiner = TensorJoiner[pb.RenderHeader](
            "stimuli", lambda header: header.stimuli, limit=MAX_BYTES
        )
        rendered.append(_joined(connection, call, joiner, on_rows, start))
    return np.concatenate(rendered)


def _numbers(latents: ArrayLike) -> NDArray[Any]:
    array = np.asarray(latents)
    if array.dtype.kind == "f":
        return array.astype(np.float32, copy=False)
    if array.dtype.kind in "iu":
        return array.astype(np.int64, copy=False)
    raise InvalidInput(f"latents: expected numbers, got {array.dtype}", field="latents")


def _whole(targets: ArrayLike | None) -> Sequence[int] | None:
    if targets is None:
        return None
    array = np.atleast_1d(targets)
    whole = array.dtype.kind in "iu" or not array.size
    if array.ndim != 1 or not whole or not ((array >= 0) & (array < 2**31)).all():
        raise InvalidInput(
            "targets: expected whole numbers from 0 on, one a row or one for all rows, got "
            f"{targets!r:.80}",
            field="targets",
        )
    return tuple(array.tolist())


def _pieces(
    array: NDArray[Any], targets: Sequence[int] | None
) -> Iterator[tuple[int, NDArray[Any], Sequence[int]]]:
    """The start of each piece, the piece, and the targets of its rows; no targets if None."""
    if array.ndim != 2 or not array.size:
        yield 0, array, targets or ()  # the server's error contains the expected shape
        return
    # Checked here, because the server cannot distinguish missing targets from the targets of a
    # piece.
    each = () if targets is None else one_a_row(targets, len(array))
    # Few rows a call: a slow generator needs its time for each of them.
    step = min(ROWS, max(1, SEND_BYTES // array[0].nbytes))
    for start in range(0, len(array), step):
        yield start, array[start : start + step], each[start : start + step]


def _joined(
    connection: Connection,
    call: Any,
    tensor: TensorJoiner[Any],
    on_rows: Callable[[int], None] | None = None,
    before: int = 0,
) -> NDArray[Any]:
    try:
        for part in call:
            tensor.add(part)
            if on_rows is not None and part.HasField("chunk"):
                end = part.chunk.offset + len(part.chunk.data)
                on_rows(before + tensor.shape[0] * end // part.chunk.total_size)
    except grpc.RpcError as error:
        raise from_rpc_error(error, connection.target) from error
    if tensor.header is None:
        raise ServerFailed("the server sent no tensor")
    return tensor.result()[1].copy()
