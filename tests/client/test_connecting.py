"""Connecting to a server that is not there, or not yet."""

import socket
import threading
import traceback

import pytest

from blackbox_am.catalogue import Catalogue
from blackbox_am.client import connect
from blackbox_am.errors import ServerUnavailable
from blackbox_am.service import Config, running


def config(address):
    return Config(address=address, store=":memory:", device="cpu", catalogue=Catalogue())


@pytest.fixture
def free():
    """An address on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


def test_nobody_there_is_one_error_that_says_what_to_check(free):
    with pytest.raises(ServerUnavailable, match="check that the server runs") as found:
        connect(free, wait=0.1)
    shown = "".join(traceback.format_exception(found.value))
    assert shown.count("Traceback") == 1
    assert "RpcError" not in shown


def test_a_server_that_starts_later_is_waited_for(free):
    found = []

    def ask():
        with connect(free, wait=60.0) as client:
            found.append(client.server_info().version)

    waiting = threading.Thread(target=ask)
    waiting.start()
    waiting.join(1.5)  # several attempts fail, and the channel pauses between them
    assert waiting.is_alive()
    with running(config(free)):
        waiting.join(60.0)
    assert found


def test_a_failed_attempt_does_not_spoil_the_next(free):
    with pytest.raises(ServerUnavailable):
        connect(free, wait=0.1)
    with running(config(free)), connect(free, wait=60.0) as client:
        assert client.server_info().version


def test_a_host_alone_is_told_with_the_port_that_was_tried():
    with pytest.raises(ServerUnavailable, match=r"cannot reach no-such-host\.invalid:50051"):
        connect("no-such-host.invalid", wait=0.0)
