"""A server and its answers about itself, as `Client` returns them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from blackbox_am.rpc import times
from blackbox_am.rpc.mapping import from_message
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


@dataclass(frozen=True)
class TopImage:
    """A natural image and the activation of a unit for it.

    Attributes:
        image: number of the image among the observed ones, from 0.
        activation: of the unit.
        stimulus: (*stimulus,) uint8.
    """

    image: int
    activation: float
    stimulus: NDArray[Any]


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
