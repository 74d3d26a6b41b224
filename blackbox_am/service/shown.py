"""What a study has shown, as a stream of rows by generation."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from blackbox_am.core import candidate_ids
from blackbox_am.core.shown import ShownRows
from blackbox_am.errors import InvalidInput
from blackbox_am.evaluation.rendering import ROWS
from blackbox_am.rpc import names, tensors
from blackbox_am.service.backend import Backend, Pool
from blackbox_am.service.fields import check_targets
from blackbox_am.service.stimuli import as_dtype, check_stimulus_dtype
from blackbox_am.studies.shown import Models, shown
from blackbox_am.studies.stored import events_of
from blackbox_am.studies.targets import targets_of
from blackbox_am.v1 import study_service_pb2 as pb

PART_BYTES = 2**20
"""Largest size of the arrays of one message, unless one row is larger."""


class _Prepared(NamedTuple):
    """The header, and the blocks of rows, each of which is computed when it is requested."""

    header: pb.HistoryHeader
    blocks: Iterator[ShownRows]


async def history(
    backend: Backend, request: pb.ReadHistoryRequest
) -> AsyncGenerator[pb.ReadHistoryResponse, None]:
    """The header, then the rows of each generation; an empty message for a generation without
    candidates of the requested targets.

    Stimuli are rendered in parts, each within the caller's quota of rows in flight. A call that is
    cancelled ends after the part, or the generation, that is being computed.

    Raises:
        NotFound: if the study does not exist.
        InvalidInput: for targets that it does not have.
        Unsupported, ModelChanged: if latents or stimuli cannot be given exactly.
        QuotaExceeded: if the caller computes too many rows at the same time.
    """
    dtype = check_stimulus_dtype(request.stimulus_dtype)
    # Loading a generator, proposing latents again and rendering can take long.
    models = request.with_latents or request.with_stimuli
    pool = Pool.MODELS if models else Pool.READS
    prepared = await backend.in_thread(partial(_prepared, backend, request), pool)
    yield pb.ReadHistoryResponse(header=prepared.header)
    while (
        block := await backend.in_thread(partial(next, prepared.blocks, None), pool)
    ) is not None:
        for part in _parts(block):
            yield pb.ReadHistoryResponse(rows=_message(part, dtype))


def _prepared(backend: Backend, request: pb.ReadHistoryRequest) -> _Prepared:
    study_id = names.study_id(request.name)
    spec = backend.registry.published(study_id).created.spec
    check_targets(request.targets, len(spec.targets))
    if request.with_stimuli and spec.generator is None:
        raise InvalidInput(
            "the study searches a bare space and has no generator: its latents are the stimuli; "
            "ask without with_stimuli",
            field="with_stimuli",
        )
    quantities = [map(str, target.layout.quantities) for target in targets_of(spec)]
    header = pb.HistoryHeader(targets=[pb.HistoryTarget(quantities=q) for q in quantities])
    quotas = backend.authority.quotas
    models = Models(
        generator=backend.generator_of(spec) if request.with_stimuli else None,
        equip=backend.equip,
        device=backend.device,
        counting=partial(quotas.rows, queries=False),
        part_rows=quotas.rows_at_a_time(ROWS),
    )
    blocks = shown(
        study_id,
        events_of(backend.store, study_id),
        models,
        latents=request.with_latents,
        stimuli=request.with_stimuli,
        targets=tuple(request.targets),
    )
    return _Prepared(header, blocks)


def _parts(block: ShownRows) -> Iterator[ShownRows]:
    """Parts of a block of at most `PART_BYTES`; one empty part of an empty block."""
    arrays = (block.scores, block.values, block.latents, block.stimuli)
    size = sum(array.nbytes for array in arrays if array is not None)
    step = max(1, PART_BYTES * len(block) // max(size, 1))
    for start in range(0, max(len(block), 1), step):
        yield block.part(slice(start, start + step))


def _message(rows: ShownRows, dtype: str) -> pb.HistoryRows:
    message = pb.HistoryRows(
        generation=rows.generation,
        candidate_ids=candidate_ids.pack(rows.generation, rows.targets, rows.rows).tolist(),
        scores=tensors.to_proto(rows.scores),
        values=tensors.to_proto(rows.values),
        recheck=rows.recheck,
    )
    if rows.latents is not None:
        message.latents.CopyFrom(tensors.to_proto(rows.latents))
    if rows.stimuli is not None:
        stimuli = as_dtype(np.asarray(rows.stimuli), dtype)
        message.stimuli.CopyFrom(tensors.to_proto(stimuli))
    return message
