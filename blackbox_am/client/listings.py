"""Entries of a server's catalogue, as `Client` lists them."""

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
    """The limits of a server.

    Attributes:
        max_message_bytes: largest request.
        max_stream_bytes: largest tensor or artifact that is sent in chunks.
        max_page_size: largest number of entries of a page.
        max_targets: largest number of targets of a study.
        max_samples: largest number of latents that one call draws.
        max_lease_duration: longest lease of candidates, in seconds.
    """

    max_message_bytes: int
    max_stream_bytes: int
    max_page_size: int
    max_targets: int
    max_samples: int
    max_lease_duration: float


@dataclass(frozen=True)
class ServerInfo:
    """A server.

    Attributes:
        version: version of blackbox_am.
        api_version: MAJOR.MINOR of the API.
        device: device of its computations.
        features: features beyond the first version of the API.
        min_keepalive_interval: seconds; the connection of a client that pings more often is closed.
        limits: limits of requests and answers.
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
        name: name in specifications.
        summary: one line of description.
        schema: JSON schema of the parameters.
        problem: reason why it cannot be loaded; empty if it can.
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
        spaces: kinds of latent space that it can search.
    """

    order: int
    spaces: tuple[str, ...]


@dataclass(frozen=True)
class GeneratorListing:
    """A generator of a server.

    Attributes:
        name: name in specifications.
        kind: name of the plug-in.
        space: latent space; None if the generator cannot be built.
        stimulus_shape: shape of one stimulus.
        differentiable: whether the generator has gradients.
        summary: one line of description.
        problem: reason why it cannot be built; empty if it can.
        licence: licence of the weights; empty if there are no weights or if the licence is unknown.
        targets: number of targets with different inputs; None if the generator has no inputs.
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
    """An oracle of a server.

    Attributes:
        name: name in specifications.
        info: description of the oracle; None if it cannot be used.
        problem: reason why it cannot be used; empty if it can.
    """

    name: str
    info: OracleInfo | None
    problem: str


@dataclass(frozen=True)
class Probe:
    """The result of testing an oracle with a few stimuli.

    Attributes:
        finite: whether every activation was finite.
        repeat_difference: largest difference between two answers to the same stimuli.
        activations: (N, U) float32 of the first answer.
        rows_per_second: speed of the second answer.
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
