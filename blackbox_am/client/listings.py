"""What a server has, as `Client` lists it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from blackbox_am.core.spec import SpaceSpec
from blackbox_am.core.types import OracleInfo
from blackbox_am.rpc import progress, specs, times
from blackbox_am.rpc.mapping import from_message, plain_of
from blackbox_am.v1 import catalog_service_pb2 as pb


@dataclass(frozen=True)
class ServerLimits:
    """The largest that a server takes or gives.

    Attributes:
        max_message_bytes: of a request.
        max_stream_bytes: of a tensor or artifact that comes in chunks.
        max_page_size: entries of a page.
        max_targets: of a study.
        max_samples: latents that one call draws.
        max_lease_duration: seconds that candidates are held.
    """

    max_message_bytes: int
    max_stream_bytes: int
    max_page_size: int
    max_targets: int
    max_samples: int
    max_lease_duration: float


@dataclass(frozen=True)
class ServerInfo:
    """The server.

    Attributes:
        version: of blackbox_am.
        api_version: MAJOR.MINOR of the API that it speaks.
        device: where it computes.
        features: what it can do beyond the first version of the API.
        min_keepalive_interval: seconds; a client that pings more often is cut off.
        limits: the largest that it takes or gives.
    """

    version: str
    api_version: str
    device: str
    features: tuple[str, ...]
    min_keepalive_interval: float
    limits: ServerLimits


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


def server(message: pb.GetServerInfoResponse) -> ServerInfo:
    """The server in `message`."""
    return ServerInfo(
        message.version,
        message.api_version,
        message.device,
        tuple(message.features),
        times.duration_from_proto(message.min_keepalive_interval),
        from_message(message.limits, ServerLimits),
    )


def plug_in(message: pb.PlugInInfo) -> PlugInListing:
    """The plug-in in `message`."""
    return from_message(message, PlugInListing)


def optimizer(message: pb.OptimizerInfo) -> OptimizerListing:
    """The optimizer in `message`."""
    common = {**plain_of(message, OptimizerListing), **plain_of(message.plug_in, PlugInListing)}
    return OptimizerListing(**common)


def generator(message: pb.GeneratorInfo) -> GeneratorListing:
    """The generator in `message`."""
    found = plain_of(message, GeneratorListing)
    space = specs.space_from_proto(message.space) if message.HasField("space") else None
    return GeneratorListing(**{**found, "space": space})


def oracle(message: pb.OracleInfo) -> OracleListing:
    """The oracle in `message`."""
    info = None
    if message.HasField("description"):
        info = progress.oracle_from_proto(message.description)
    return OracleListing(message.name, info, message.problem)
