"""Large values, sent to and read from a server in chunks."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from blackbox_am.client.connection import Connection
from blackbox_am.rpc import chunks
from blackbox_am.rpc.status import from_rpc_error
from blackbox_am.v1 import study_service_pb2 as pb
from blackbox_am.v1.tensor_pb2 import Chunk

MAX_BYTES = 2**32
"""Largest number of bytes of one call."""


def write(connection: Connection, data: bytes) -> str:
    """Stores `data`. Returns its digest.

    Raises:
        BlackboxError: the server's error.
    """

    def parts() -> Iterator[pb.WriteArtifactRequest]:
        for chunk in chunks.split(data) if data else [Chunk()]:
            yield pb.WriteArtifactRequest(chunk=chunk)

    try:
        answer = connection.studies.WriteArtifact(parts(), timeout=connection.timeout)
    except grpc.RpcError as error:
        raise from_rpc_error(error, connection.target) from error
    return str(answer.digest)


def read(connection: Connection, digest: str) -> bytes:
    """The bytes of the value with this digest.

    Raises:
        BlackboxError: the server's error.
    """
    request = pb.ReadArtifactRequest(name=f"artifacts/{digest}")
    joiner: chunks.Joiner | None = None
    try:
        for part in connection.studies.ReadArtifact(request, timeout=connection.timeout):
            if joiner is None:
                joiner = chunks.Joiner(part.chunk.total_size, limit=MAX_BYTES)
            joiner.add(part.chunk)
    except grpc.RpcError as error:
        raise from_rpc_error(error, connection.target) from error
    return b"" if joiner is None else bytes(joiner.result())
