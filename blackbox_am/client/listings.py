"""What a server has, as `Client` lists it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from blackbox_am.core.spec import SpaceSpec
from blackbox_am.core.types import OracleInfo
from blackbox_am.rpc import progress, specs
from blackbox_am.v1 import catalog_service_pb2 as pb
from blackbox_am.v1 import oracle_service_pb2 as oracle_pb


@dataclass(frozen=True)
class ServerInfo:
    """The server.

    Attributes:
        version: of blackbox_am.
        device: where it computes.
        max_message_bytes: the largest request it takes.
    """

    version: str
    device: str
    max_message_bytes: int


@dataclass(frozen=True)
class PlugInListing:
    """A registered plug-in.

    Attributes:
        name: by which specifications call it.
        summary: what it is.
        schema: JSON schema of its parameters.
        problem: why it cannot be loaded; empty where it can.
    """

    name: str
    summary: str
    schema: dict[str, Any]
    problem: str


@dataclass(frozen=True)
class OptimizerListing(PlugInListing):
    """A registered optimizer.

    Attributes:
        order: 0: learns from scores. 1: needs gradients.
        spaces: kinds of space it searches.
    """

    order: int
    spaces: tuple[str, ...]


@dataclass(frozen=True)
class GeneratorListing:
    """A generator that the server has.

    Attributes:
        name: by which specifications call it.
        kind: the plug-in's name.
        space: its latent space; None where it cannot be built.
        stimulus_shape: of one stimulus.
        differentiable: whether gradients go through it.
        summary: what it is.
        problem: why it cannot be built; empty where it can.
        licence: terms of its weights; empty where it has none, or where nobody says.
        targets: how many targets it tells apart, as a search around so many inputs does; None:
            none.
    """

    name: str
    kind: str
    space: SpaceSpec | None
    stimulus_shape: tuple[int, ...]
    differentiable: bool
    summary: str
    problem: str
    licence: str = ""
    targets: int | None = None


@dataclass(frozen=True)
class OracleListing:
    """An oracle that the server has.

    Attributes:
        name: by which specifications call it.
        info: what it says of itself; None where it cannot be asked.
        problem: why it cannot be asked; empty where it can.
    """

    name: str
    info: OracleInfo | None
    problem: str


@dataclass(frozen=True)
class Probe:
    """What a few stimuli told of an oracle.

    Attributes:
        finite: whether every activation was finite.
        repeat_difference: the largest difference between two answers to the same stimuli.
        activations: (N, U) float32 of the first answer.
        rows_per_second: how fast the second answer came.
    """

    finite: bool
    repeat_difference: float
    activations: NDArray[Any]
    rows_per_second: float


def plug_in(message: pb.PlugInInfo) -> PlugInListing:
    """The plug-in in `message`."""
    return PlugInListing(**_plug_in_fields(message))


def optimizer(message: pb.OptimizerInfo) -> OptimizerListing:
    """The optimizer in `message`."""
    return OptimizerListing(
        **_plug_in_fields(message.plug_in), order=message.order, spaces=tuple(message.spaces)
    )


def generator(message: pb.GeneratorInfo) -> GeneratorListing:
    """The generator in `message`."""
    return GeneratorListing(
        message.name,
        message.kind,
        None if message.message else specs.space_from_proto(message.space),
        tuple(message.stimulus_shape),
        message.differentiable,
        message.summary,
        message.message,
        message.licence,
        message.targets or None,
    )


def oracle(message: oracle_pb.DescribeOracleResponse) -> OracleListing:
    """The oracle in `message`."""
    info = None if message.message else progress.oracle_from_proto(message)
    return OracleListing(message.oracle, info, message.message)


def _plug_in_fields(message: pb.PlugInInfo) -> dict[str, Any]:
    return {
        "name": message.name,
        "summary": message.summary,
        "schema": specs.struct_from_proto(message.schema),
        "problem": message.message,
    }
