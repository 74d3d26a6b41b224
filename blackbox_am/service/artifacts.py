"""Large values of studies, in chunks to and from the store."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial

from blackbox_am.errors import InvalidInput
from blackbox_am.rpc import chunks
from blackbox_am.rpc.chunks import Joiner
from blackbox_am.service.backend import Backend, Pool
from blackbox_am.v1 import study_service_pb2 as pb
from blackbox_am.v1.tensor_pb2 import Chunk

PREFIX = "artifacts/"
_DIGEST = re.compile(r"[0-9a-f]{64}")


async def write(
    backend: Backend, requests: AsyncIterator[pb.WriteArtifactRequest]
) -> pb.WriteArtifactResponse:
    """Stores the bytes in `requests`.

    Raises:
        InvalidInput: for damaged, missing or too many chunks.
        QuotaExceeded: if the caller may not store so many bytes.
    """
    joiner: Joiner | None = None
    async for request in requests:
        if joiner is None:
            size = request.chunk.total_size
            await backend.in_thread(partial(backend.authority.quotas.check_artifact, size))
            joiner = Joiner(size)
        joiner.add(request.chunk)
    if joiner is None:
        raise InvalidInput(
            "the stream held no chunk; send one, with total_size 0 for no bytes", field="chunk"
        )
    # All chunks are received first, so that the database does not wait for a slow caller.
    whole = bytes(joiner.result())
    account = backend.authority.quotas.account()
    put = partial(backend.store.artifacts.put, whole, account)
    digest = await backend.in_thread(put, Pool.CONTROL)
    return pb.WriteArtifactResponse(name=PREFIX + digest, digest=digest, size=len(whole))


async def read(
    backend: Backend, request: pb.ReadArtifactRequest
) -> AsyncGenerator[pb.ReadArtifactResponse, None]:
    """The bytes of an artifact from an offset on; one empty chunk if no bytes remain.

    Raises:
        NotFound: if the store does not have it.
        InvalidInput: for an invalid name, and for an offset after the end.
        StoreCorrupt: if the artifact is damaged.
    """
    digest, artifacts = digest_of(request.name), backend.store.artifacts
    total = await backend.in_thread(lambda: artifacts.size(digest))
    offset = request.offset
    while True:
        piece = partial(artifacts.get, digest, offset, chunks.CHUNK_BYTES)
        data = await backend.in_thread(piece)
        for chunk in chunks.split(data, start=offset, total=total):
            yield pb.ReadArtifactResponse(chunk=chunk)
        if not data:
            yield pb.ReadArtifactResponse(chunk=Chunk(offset=offset, total_size=total))
        offset += len(data)
        if offset >= total:
            return


def digest_of(name: str) -> str:
    """The digest in an artifact's name.

    Raises:
        InvalidInput: if `name` is no artifact's name.
    """
    digest = name.removeprefix(PREFIX)
    if digest == name or _DIGEST.fullmatch(digest) is None:
        raise InvalidInput(
            f"{name[:80]!r} is not the name of an artifact; expected artifacts/DIGEST, as "
            "WriteArtifact returned it",
            field="name",
        )
    return digest
