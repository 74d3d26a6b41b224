"""Latents and stimuli of a generator on a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
from numpy.typing import ArrayLike, NDArray

from blackbox_am.client.connection import SEND_BYTES, Connection
from blackbox_am.errors import InvalidInput, ServerFailed
from blackbox_am.rpc import tensors
from blackbox_am.rpc.chunks import Joiner
from blackbox_am.rpc.status import from_rpc_error
from blackbox_am.v1 import catalog_service_pb2 as pb

MAX_BYTES = 2**32
"""What one call brings at most."""
ROWS = 64
"""Stimuli that one call asks for at most."""


def sample(connection: Connection, generator: str, n: int, seed: int) -> NDArray[Any]:
    """(n, D) latents from the generator's prior."""
    request = pb.SampleRequest(generator=generator, count=n, seed=seed)
    call = connection.catalog.Sample(request, timeout=connection.timeout)
    return _joined(connection, call, "latents")


def render(
    connection: Connection,
    generator: str,
    latents: ArrayLike,
    dtype: str,
    on_rows: Callable[[int], None] | None,
) -> NDArray[Any]:
    """(N, *stimulus), for latents (N, D), which travel in pieces that a server takes."""
    array = _numbers(latents)
    wanted = tensors.header(dtype, ()).dtype
    rendered: list[NDArray[Any]] = []
    for start, piece in _pieces(array):
        request = pb.RenderRequest(
            generator=generator, latents=tensors.to_proto(piece), dtype=wanted
        )
        call = connection.catalog.Render(request, timeout=connection.timeout)
        rendered.append(_joined(connection, call, "stimuli", on_rows, start))
    return np.concatenate(rendered)


def _numbers(latents: ArrayLike) -> NDArray[Any]:
    array = np.asarray(latents)
    if array.dtype.kind == "f":
        return array.astype(np.float32, copy=False)
    if array.dtype.kind in "iu":
        return array.astype(np.int64, copy=False)
    raise InvalidInput(f"latents: expected numbers, got {array.dtype}", field="latents")


def _pieces(array: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Where each piece starts, and the piece."""
    if array.ndim != 2 or not array.size:
        yield 0, array  # the server says what it expects
        return
    # Few rows a call: a slow generator needs its time for each of them.
    step = min(ROWS, max(1, SEND_BYTES // array[0].nbytes))
    for start in range(0, len(array), step):
        yield start, array[start : start + step]


def _joined(
    connection: Connection,
    call: Any,
    field: str,
    on_rows: Callable[[int], None] | None = None,
    before: int = 0,
) -> NDArray[Any]:
    header, joiner = None, None
    try:
        for part in call:
            if part.WhichOneof("part") == "header":
                header = part.header
                joiner = Joiner(tensors.size_of(header, field=field), limit=MAX_BYTES)
            elif joiner is not None and header is not None:
                joiner.add(part.chunk)
                if on_rows is not None:
                    end = part.chunk.offset + len(part.chunk.data)
                    on_rows(before + header.shape[0] * end // part.chunk.total_size)
    except grpc.RpcError as error:
        raise from_rpc_error(error, connection.target) from error
    if header is None or joiner is None:
        raise ServerFailed(f"the server sent no {field}")
    return tensors.from_header(header, joiner.result(), field=field).copy()
