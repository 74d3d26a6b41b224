"""What the runner itself does in a case: to the server, and to the oracle that a driver serves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from blackbox_am.rpc import observing, status, tensors
from blackbox_am.v1 import oracle_service_pb2 as pb
from blackbox_am.v1.oracle_service_pb2_grpc import OracleServiceStub
from clients.conformance.drivers import encoding
from clients.conformance.fixtures import Servers

Plain = dict[str, Any]
CALL_SECONDS = 20.0


def deed(servers: Servers, name: str, arguments: Plain) -> Plain:
    """Does `name` with its arguments; the answer as one of a driver.

    `server.start`, `server.kill` (SIGKILL), `server.stop` (SIGTERM), `server.restart` (with
    `oracle`, the address of the server's oracle `driver`): the real server. `run.sleep`: `seconds`.
    `oracle.describe`, `oracle.health`, `oracle.observe`: the oracle at `target`, called by bare
    gRPC.
    """
    try:
        return {"ok": DEEDS[name](servers, **arguments)}
    except grpc.RpcError as error:
        return {"error": _error(error)}


def _error(error: Any) -> Plain:
    plain = encoding.error(status.from_rpc_error(error))
    plain["code"] = error.code().name
    return plain


def _restart(servers: Servers, oracle: str = "") -> Plain:
    servers.stop()
    servers.start(oracle)
    return {}


def _sleep(_: Servers, seconds: float) -> Plain:
    time.sleep(seconds)
    return {}


def _health(_: Servers, target: str) -> Plain:
    with grpc.insecure_channel(target) as channel:
        answer = HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=CALL_SECONDS)
    return {"status": health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}


def _describe(_: Servers, target: str, oracle: str = "") -> Plain:
    with grpc.insecure_channel(target) as channel:
        request = pb.DescribeOracleRequest(oracle=oracle)
        found = OracleServiceStub(channel).DescribeOracle(request, timeout=CALL_SECONDS)
    return {
        "kind": found.kind,
        "capabilities": sorted(pb.Capability.Name(one)[11:] for one in found.capabilities),
        "deterministic": found.deterministic,
        "stimulus_shape": list(found.stimulus_shape),
        "batch_size": found.batch_size,
        "fingerprint": found.fingerprint,
        "layers": [
            {
                "name": one.name,
                "kind": one.kind,
                "shape": list(one.shape),
                "axes": list(one.axes),
                "units": one.units,
            }
            for one in found.layers
        ],
    }


def _observe(
    _: Servers,
    target: str,
    stimuli: Plain,
    units: list[str],
    oracle: str = "",
    stream: bool = False,
    damage: str = "",
) -> Plain:
    array = encoding.array_of(stimuli)
    request = pb.ObserveRequest(oracle=oracle, units=units)
    with grpc.insecure_channel(target, options=[("grpc.max_send_message_length", -1)]) as channel:
        if stream:
            parts = _damaged(observing.outgoing(request, array, array.dtype.name), damage)
            answer = observing.incoming(observing.method(channel)(parts, timeout=CALL_SECONDS))
            return {"activations": encoding.tensor(answer)}
        request.stimuli.CopyFrom(tensors.to_proto(array))
        if damage == "length":
            request.stimuli.data = request.stimuli.data[:-1]
        found = OracleServiceStub(channel).Observe(request, timeout=CALL_SECONDS)
    return {"activations": encoding.tensor(tensors.from_proto(found.activations))}


def _damaged(parts: Iterator[bytes], damage: str) -> Iterator[bytes]:
    """The parts of a stream; with `damage` `byte` one byte of its first chunk is wrong, with
    `unchecked` no chunk has a checksum.
    """
    for number, data in enumerate(parts):
        part = pb.ObserveStreamRequest.FromString(data)
        if number == 1 and damage == "byte":
            part.chunk.data = bytes([part.chunk.data[0] ^ 1]) + part.chunk.data[1:]
        if number and damage == "unchecked":
            part.chunk.ClearField("crc32c")
        yield part.SerializeToString()


DEEDS: dict[str, Callable[..., Plain]] = {
    "server.start": lambda servers: servers.start() or {},
    "server.kill": lambda servers: servers.kill() or {},
    "server.stop": lambda servers: servers.stop() or {},
    "server.restart": _restart,
    "run.sleep": _sleep,
    "oracle.health": _health,
    "oracle.describe": _describe,
    "oracle.observe": _observe,
}
"""What the runner does, by name."""
