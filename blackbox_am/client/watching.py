"""Watching a study, also after lost connections."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import grpc

from blackbox_am.client.connection import Connection, Reconnecting
from blackbox_am.core.study_events import StateChanged, StudyEvent
from blackbox_am.rpc.events import from_proto
from blackbox_am.rpc.times import duration_to_proto
from blackbox_am.v1 import study_service_pb2 as pb


def events(
    connection: Connection,
    name: str,
    after: int,
    min_interval: float,
    reconnect_seconds: float,
    deadline: float | None = None,
) -> Iterator[StudyEvent]:
    """The events of a study after sequence number `after`, until it ends.

    Args:
        connection: connection to the server.
        name: name of the study.
        after: a sequence number.
        min_interval: seconds between events of generations.
        reconnect_seconds: longest time to wait for an unavailable server.
        deadline: time on the monotonic clock at which the watch stops early; None for never.

    Raises:
        BlackboxError: the server's error; `ServerUnavailable` if it did not come back in time.
    """
    interval = duration_to_proto(min_interval, "min_interval")
    attempts = Reconnecting(connection.target, reconnect_seconds, deadline)
    while True:
        request = pb.WatchStudyRequest(name=name, after_sequence=after, min_interval=interval)
        left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
        call = connection.studies.WatchStudy(request, timeout=left)
        try:
            for update in call:
                attempts.answered()
                if update.event.sequence > after:
                    after = update.event.sequence
                    yield from_proto(update.event)
        except grpc.RpcError as error:
            if _expired(deadline):
                return
            attempts.failed(error)
        else:
            return
        finally:
            call.cancel()


def wait_for_state(
    connection: Connection,
    name: str,
    after: int,
    deadline: float | None,
    reconnect_seconds: float,
    on_event: Callable[[], object] | None = None,
) -> bool:
    """Wait for the study's next change of state, or for its end. `on_event` is called after each
    event.

    Returns:
        False if the deadline came first.
    """
    # One generation a second is enough while waiting for the end.
    for event in events(connection, name, after, 1.0, reconnect_seconds, deadline):
        if on_event is not None:
            on_event()
        if isinstance(event, StateChanged):
            return True
    return not _expired(deadline)


def _expired(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline
