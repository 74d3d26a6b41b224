"""The inputs around which a study searches, as an attack does, read from the server's artifacts."""

from __future__ import annotations

import io
from contextlib import aclosing
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from blackbox_am.attacks.distances import changes_between, distances
from blackbox_am.attacks.problem import NORMS
from blackbox_am.attacks.results import float_stimuli
from blackbox_am.errors import NotFound, StoreCorrupt
from blackbox_am.gateway.kept import Kept
from blackbox_am.gateway.upstream import Upstream
from blackbox_am.rpc import structs
from blackbox_am.v1 import study_pb2
from blackbox_am.v1 import study_service_pb2 as pb

PARAMETER = "inputs"
"""The parameter of the generator under which a study brings its inputs."""
KEPT_BYTES = 2**25
HEADER_BYTES = 4096
"""More than the header of an array in numpy's format."""

Array = NDArray[Any]


class Inputs:
    """Reads single inputs of arrays that may be large.

    Args:
        upstream: the connection.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._kept = Kept(KEPT_BYTES)

    async def of(self, study: study_pb2.Study, target: int) -> tuple[int, Array]:
        """The input of a target: its number in the array of the study, and its values, uint8 or
        float in [0, 1].

        Raises:
            NotFound: if the study brings no inputs.
            StoreCorrupt: if the array cannot be read.
            BlackboxError: the server's error.
        """
        digest = dict(study.spec.generator.inputs).get(PARAMETER)
        if digest is None:
            raise NotFound("the study brings no inputs: it does not search for changes of them")
        rows = structs.from_proto(study.spec.generator.parameters, field="parameters").get("rows")
        shape, dtype, start = await self._header(digest)
        row = int(rows[target]) if rows else min(target, shape[0] - 1)
        size = dtype.itemsize * int(np.prod(shape[1:]))
        data = await self._part(digest, start + row * size, size)
        return row, np.frombuffer(data, dtype).reshape(shape[1:])

    async def _header(self, digest: str) -> tuple[tuple[int, ...], np.dtype[Any], int]:
        """Shape and dtype of an array, and where its values begin."""
        source = io.BytesIO(await self._part(digest, 0, HEADER_BYTES))
        try:
            shape, by_columns, dtype = _read_header(source)
        except ValueError as error:
            raise StoreCorrupt(f"the inputs {digest} are not an array of numpy: {error}") from error
        if by_columns or len(shape) < 2 or dtype.hasobject:
            raise StoreCorrupt(f"the inputs {digest} are not inputs one after another")
        return shape, dtype, source.tell()

    async def _part(self, digest: str, start: int, size: int) -> bytes:
        """At most `size` bytes of an artifact from `start`."""
        key = f"{digest} {start} {size}"
        found = self._kept.get(key)
        if found is None:
            request = pb.ReadArtifactRequest(name=f"artifacts/{digest}", offset=start)
            stream = self._upstream.stream(self._upstream.studies.ReadArtifact, request)
            data = bytearray()
            async with aclosing(stream) as parts:
                async for part in parts:
                    piece = part.chunk.data
                    if part.chunk.HasField("crc32c") and (
                        google_crc32c.value(piece) != part.chunk.crc32c
                    ):
                        raise StoreCorrupt(f"a part of the inputs {digest} came damaged; ask again")
                    data += piece
                    if len(data) >= size:
                        break
            found = bytes(data[:size])
            self._kept.put(key, found)
        return found


def _read_header(source: io.BytesIO) -> Any:
    formats: Any = np.lib.format
    if formats.read_magic(source) == (1, 0):
        return formats.read_array_header_1_0(source)
    return formats.read_array_header_2_0(source)


def changed(clean: Array, stimulus: Array) -> Array:
    """The change of an input, in units of [0, 1].

    Args:
        clean: the input; a stimulus of an input of bytes is rounded to bytes, as an attack does.
        stimulus: float in [0, 1], of the same shape.
    """
    values = float_stimuli(stimulus)
    if clean.dtype == np.uint8:
        values = np.rint(values * 255).astype(np.uint8)
    return changes_between(clean, values)


def norms(change: Array) -> dict[str, float]:
    """The size of a change in every norm."""
    return {norm: float(distances(change[None], norm)[0]) for norm in NORMS}


def as_picture(change: Array) -> Array:
    """A change as values in [0, 1]: 0.5 where there is none, 0 and 1 where it is largest."""
    most = np.abs(change).max(initial=0.0)
    shown: Array = 0.5 + change / (2 * most) if most else np.full(change.shape, 0.5)
    return shown.astype(np.float32)
