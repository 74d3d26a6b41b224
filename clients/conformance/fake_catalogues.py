"""A catalogue whose streams arrive damaged, or without checksums."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from blackbox_am.rpc import chunks, tensors
from blackbox_am.v1 import catalog_service_pb2 as catalog_pb
from blackbox_am.v1.catalog_service_pb2_grpc import CatalogServiceServicer
from blackbox_am.v1.tensor_pb2 import Chunk

LATENTS = np.arange(6, dtype=np.float32).reshape(3, 2)
CHUNK_BYTES = 8


class Damaged(CatalogServiceServicer):
    """`Sample` sends six numbers in three chunks; the generator's name says what is wrong."""

    def Sample(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        header = tensors.header("float32", LATENTS.shape)
        yield catalog_pb.SampleResponse(header=catalog_pb.SampleHeader(latents=header))
        pieces = list(chunks.split(LATENTS.tobytes(), CHUNK_BYTES))
        for chunk in _spoiled(pieces, request.generator):
            yield catalog_pb.SampleResponse(chunk=chunk)


def _spoiled(pieces: list[Chunk], how: str) -> list[Chunk]:
    match how:
        case "right":
            return pieces
        case "without_checksums":
            for piece in pieces:
                piece.ClearField("crc32c")
            return pieces
        case "wrong_byte":
            pieces[1].data = b"\x01" + pieces[1].data[1:]
            return pieces
        case "wrong_order":
            return [pieces[1], pieces[0], pieces[2]]
        case "missing_end":
            return pieces[:2]
        case "too_long":
            return [*pieces, Chunk(offset=24, data=b"more", total_size=24)]
    raise ValueError(f"unknown damage {how!r}")
