"""OracleService: observations of the catalogue's oracles for any caller."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.batches import in_fixed_batches
from blackbox_am.core.oracle import Oracle, check_answer, check_stimuli
from blackbox_am.core.tensors import to_unit_interval
from blackbox_am.core.types import OracleInfo
from blackbox_am.core.units import Unit, check_unit
from blackbox_am.errors import BlackboxError, InvalidInput, OracleFailed, ShapeMismatch, Unsupported
from blackbox_am.rpc import chunks, progress, tensors
from blackbox_am.rpc.joining import TensorJoiner
from blackbox_am.service.backend import Backend, Pool
from blackbox_am.service.calls import streaming, unary_model, unary_remote
from blackbox_am.v1 import oracle_service_pb2 as pb
from blackbox_am.v1 import tensor_pb2
from blackbox_am.v1.oracle_service_pb2_grpc import OracleServiceServicer

UINT8_COPIES = 10
FLOAT_COPIES = 3
"""Bytes in memory for each byte of received stimuli: the message, the rows, and their copies."""

Array = NDArray[Any]
Counting = Callable[[int], AbstractContextManager[None]]
"""Counts rows inside the context; may refuse them."""


def _uncounted(rows: int) -> AbstractContextManager[None]:
    del rows
    return nullcontext()


class OracleService(OracleServiceServicer):
    """The oracles of the catalogue as a service."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @unary_remote
    def DescribeOracle(  # noqa: N802
        self, request: pb.DescribeOracleRequest
    ) -> pb.DescribeOracleResponse:
        oracle = self.backend.oracle(request.oracle)
        found = oracle.fingerprint()
        # A model without a name outside this process would count as another model after each
        # restart.
        info = replace(oracle.describe(), fingerprint="" if found.unnamed else found.digest)
        return progress.oracle_to_proto(request.oracle, info)

    @unary_model
    def Observe(self, request: pb.ObserveRequest) -> pb.ObserveResponse:  # noqa: N802
        oracle = self.backend.oracle(request.oracle)
        stimuli = tensors.from_proto(request.stimuli, field="stimuli")  # refuses an untrue shape
        with self._holding(request.stimuli, len(request.units)):
            counting = self.backend.authority.quotas.rows
            activations = observe(oracle, stimuli, list(request.units), counting)
            return pb.ObserveResponse(activations=tensors.to_proto(activations))

    @streaming
    async def ObserveStream(  # noqa: N802
        self, requests: AsyncIterator[pb.ObserveStreamRequest]
    ) -> AsyncGenerator[pb.ObserveStreamResponse, None]:
        with ExitStack() as held:

            def hold(header: pb.ObserveRequest) -> None:
                held.enter_context(self._holding(header.stimuli, len(header.units)))

            header, stimuli = await _received(requests, hold)

            def answer() -> Array:
                oracle, counting = (
                    self.backend.oracle(header.oracle),
                    self.backend.authority.quotas.rows,
                )
                return observe(oracle, stimuli, list(header.units), counting)

            activations = await self.backend.in_thread(answer, Pool.MODELS)
            answered = tensors.header(activations.dtype.name, activations.shape)
            yield pb.ObserveStreamResponse(header=pb.ObserveResponse(activations=answered))
            for chunk in chunks.split(tensors.to_proto(activations).data):
                yield pb.ObserveStreamResponse(chunk=chunk)

    def _holding(self, stimuli: tensor_pb2.Tensor, units: int) -> AbstractContextManager[None]:
        """Counts the memory of a call: the stimuli as they came and as float32, and the answer."""
        size = tensors.size_of(stimuli, field="stimuli")
        rows = stimuli.shape[0] if stimuli.shape else 0
        copies = UINT8_COPIES if stimuli.dtype == tensor_pb2.DTYPE_UINT8 else FLOAT_COPIES
        what = f"an observation of {rows} stimuli and {units} units"
        return self.backend.memory.holding(copies * size + 2 * 8 * rows * units, what)


def observe(
    oracle: Oracle, stimuli: Array, addresses: Sequence[str], counting: Counting = _uncounted
) -> Array:
    """(N, U) activations, observed in batches of the oracle's own size, in its own precision.

    Args:
        oracle: the oracle.
        stimuli: (N, *stimulus), floats in [0, 1] or uint8.
        addresses: of the units.
        counting: counts the rows of a request that is not refused, while the oracle observes them.

    Raises:
        ShapeMismatch, InvalidInput: for stimuli of another shape, dtype or range.
        UnknownUnit: for a unit that the oracle lacks.
        OracleError: if the oracle fails.
    """
    info = oracle.describe()
    units = [_unit(info, index, address) for index, address in enumerate(addresses)]
    rows = _in_unit_interval(stimuli)
    check_stimuli(info, rows)
    if 4 * len(rows) * len(units) > chunks.MAX_STREAM_BYTES:
        raise InvalidInput(
            f"{len(units)} units of {len(rows)} stimuli are too many for one answer, which holds "
            f"{chunks.MAX_STREAM_BYTES // 4} activations at most; send fewer rows at a time",
            field="units",
        )
    if not len(rows) or not units:
        return np.zeros((len(rows), len(units)), np.float32)
    try:
        with counting(len(rows)), torch.no_grad():
            if oracle.billable:
                pieces = [oracle.observe(p, units) for p in torch.split(rows, info.batch_size)]
                found = torch.cat(pieces)
            else:
                found = in_fixed_batches(lambda p: oracle.observe(p, units), rows, info.batch_size)
    except BlackboxError:
        raise
    except Exception as error:  # an oracle's code may raise anything
        raise OracleFailed(
            f"the {info.kind} oracle raised {type(error).__name__} on {len(rows)} stimuli: {error}"
        ) from error
    check_answer(found, len(rows), len(units))
    activations: Array = found.cpu().numpy()
    return activations


def _unit(info: OracleInfo, index: int, address: str) -> Unit:
    try:
        unit = Unit.parse(address)
        check_unit(info, unit)
    except (InvalidInput, Unsupported) as error:
        error.field = f"units[{index}]"
        raise
    return unit


def _in_unit_interval(stimuli: Array) -> torch.Tensor:
    if stimuli.dtype != np.uint8 and stimuli.dtype.kind != "f":
        raise ShapeMismatch(
            f"stimuli: expected float32, float64 or uint8, got {stimuli.dtype.name}",
            field="stimuli",
        )
    if not stimuli.ndim:
        raise ShapeMismatch("stimuli: expected a batch (N, *stimulus), got one number")
    values = to_unit_interval(stimuli)
    # An oracle may write to its input, but the bytes of a message must not be changed.
    rows = torch.from_numpy(values if values.flags.writeable else values.copy())
    if stimuli.dtype != np.uint8 and rows.numel():
        low, high = torch.aminmax(rows)  # both results are nan if one number is nan
        if not (low >= 0 and high <= 1):
            raise InvalidInput(
                "stimuli: expected values in [0, 1], got values outside, or nan; send uint8 for "
                "0 to 255",
                field="stimuli",
            )
    return rows


async def _received(
    requests: AsyncIterator[pb.ObserveStreamRequest],
    hold: Callable[[pb.ObserveRequest], None],
) -> tuple[pb.ObserveRequest, Array]:
    received = TensorJoiner[pb.ObserveRequest]("stimuli", lambda header: header.stimuli)
    async for request in requests:
        first = received.header is None
        received.add(request)
        if first and received.header is not None:
            hold(received.header)
    return received.result()
