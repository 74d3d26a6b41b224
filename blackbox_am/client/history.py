"""What a study on a server has shown: rows by generation, from a stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import grpc
from numpy.typing import NDArray

from blackbox_am.client.connection import Connection
from blackbox_am.core import candidate_ids
from blackbox_am.core.shown import ShownRows
from blackbox_am.errors import ServerFailed
from blackbox_am.rpc import names, tensors
from blackbox_am.rpc.status import from_rpc_error
from blackbox_am.v1 import study_service_pb2 as pb
from blackbox_am.v1.tensor_pb2 import Tensor

Quantities = tuple[tuple[str, ...], ...]


def read(
    connection: Connection,
    study_id: str,
    *,
    latents: bool,
    stimuli: bool,
    targets: Sequence[int],
) -> Iterator[ShownRows]:
    """The measured candidates of a study by generation, a large generation in several parts.

    Stimuli are float32, which is exact.

    Raises:
        BlackboxError: the server's error, also after some rows.
    """
    request = pb.ReadHistoryRequest(
        name=names.study_name(study_id),
        targets=targets,
        with_latents=latents,
        with_stimuli=stimuli,
        stimulus_dtype=tensors.stimulus_dtype("float32"),
    )
    quantities: Quantities | None = None
    try:
        # Without a time limit: the server may have to propose all latents again.
        for part in connection.studies.ReadHistory(request):
            if part.WhichOneof("part") == "header":
                quantities = tuple(tuple(target.quantities) for target in part.header.targets)
            elif quantities is None:
                raise ServerFailed("the server sent rows of the history before its header")
            elif part.rows.candidate_ids:  # none of a generation without wanted candidates
                yield _rows(study_id, part.rows, quantities)
    except grpc.RpcError as error:
        raise from_rpc_error(error, connection.target) from error


def _rows(study_id: str, message: pb.HistoryRows, quantities: Quantities) -> ShownRows:
    _, targets, rows = candidate_ids.unpack(list(message.candidate_ids))
    return ShownRows(
        study_id,
        message.generation,
        quantities,
        targets,
        rows,
        _array(message.scores, "scores"),
        _array(message.values, "values"),
        _array(message.latents, "latents") if message.HasField("latents") else None,
        _array(message.stimuli, "stimuli") if message.HasField("stimuli") else None,
        message.recheck,
    )


def _array(message: Tensor, field: str) -> NDArray[Any]:
    return tensors.from_proto(message, field=field).copy()
