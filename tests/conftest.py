"""One thread for torch, here and in every process that a test starts.

Matrix products round otherwise with another number of threads, and many tests compare
two processes to the last bit.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from blackbox_am.testing.server import ServerProcess
from tests import forked
from tests.closes import Closes

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("MKL_CBWR", "AUTO")  # as the package does, which tests import after torch

# How fast examples are made says more about the load of the machine than about a strategy.
settings.register_profile("any_load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_load")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background, a shell has it ignored, and so would every process of the tests.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def closes() -> Iterator[Closes]:
    """Closes what a test opens, at its end: `store = closes(SQLStore(":memory:"))`."""
    with ExitStack() as opened:
        yield lambda one: opened.enter_context(closing(one))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What needs CUDA is skipped where there is none."""
    if item.get_closest_marker("cuda"):
        import torch  # not above: the number of threads has to be set first

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device; torch sees none")


FAR = """
import os, signal, sys, time
from concurrent import futures
import grpc, numpy as np
from blackbox_am.core.capability import Capability
from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.rpc import progress, tensors
from blackbox_am.v1 import oracle_service_pb2 as pb
from blackbox_am.v1.oracle_service_pb2_grpc import (
    OracleServiceServicer, add_OracleServiceServicer_to_server)

port, log, last, then = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
sink = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
planted = np.random.default_rng(0).random((10, 192), np.float32)
info = OracleInfo("simulated", Capability.UNITS, (3, 8, 8),
                  (LayerInfo("units", "linear", (10,), ("unit",)),), batch_size=16)

class Far(OracleServiceServicer):
    calls = 0

    def DescribeOracle(self, request, context):
        return progress.oracle_to_proto("", info)

    def Observe(self, request, context):
        stimuli = tensors.from_proto(request.stimuli).reshape(-1, 1, 192)
        self.calls += 1
        os.write(sink, b"%d\\n" % len(stimuli))
        if self.calls == last and then == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        while self.calls == last and not os.path.exists(log + ".go"):
            time.sleep(0.01)
        time.sleep(0.01)
        scores = 1 - ((stimuli - planted) ** 2).mean(2)
        units = [int(unit.partition(":")[2]) for unit in request.units]
        return pb.ObserveResponse(activations=tensors.to_proto(scores[:, units]))

server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
add_OracleServiceServicer_to_server(Far(), server)
print(server.add_insecure_port(f"127.0.0.1:{port}"), flush=True)
server.start()
server.wait_for_termination()
"""


class Far:
    """A server in a process of its own; it writes down the rows of each call that it gets."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.port = 0
        self.process: subprocess.Popen[str] | None = None

    def start(self, last: int = 0, then: str = "die") -> None:
        """Starts it. In the middle of call number `last` it ends itself with SIGKILL.

        Or, where `then` is "hold", it does not answer that call before it is let go.
        """
        command = [sys.executable, "-c", FAR, str(self.port), str(self.log), str(last), then]
        self.process = forked.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def calls(self) -> list[int]:
        """Rows of each."""
        return [int(line) for line in self.log.read_text().split()] if self.log.exists() else []

    def let_go(self) -> None:
        """Has it answer the call that it holds."""
        Path(f"{self.log}.go").touch()

    def kill(self) -> None:
        """SIGKILL, now."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Callable[..., Far]]:
    """`far(last, then)`: a new oracle on a server in a process of its own."""
    started: list[Far] = []

    def new(last: int = 0, then: str = "die") -> Far:
        server = Far(tmp_path / f"log{len(started)}")
        started.append(server)
        server.start(last, then)
        return server

    yield new
    for server in started:
        server.kill()


@pytest.fixture(autouse=True, scope="session")
def forked_servers() -> None:
    """Servers in processes of their own start in a moment."""
    ServerProcess.popen = forked.Popen


@pytest.fixture(scope="session")
def far_class() -> type[Far]:
    """`Far`, for fixtures of a wider scope than a test."""
    return Far


@pytest.fixture(autouse=True)
def no_open_figures() -> Iterator[None]:
    """Closes the figures that a test has drawn with pyplot, which would keep them."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Any]:
    """A real PostgreSQL server; what needs one is skipped where PostgreSQL is not installed."""
    from blackbox_am.errors import Unsupported  # not above: the number of threads comes first
    from blackbox_am.testing.postgresql import PostgreSQL

    try:
        with PostgreSQL() as server:
            yield server
    except Unsupported as error:
        pytest.skip(error.message)


@pytest.fixture
def empty_url(postgresql: Any) -> str:
    """The URL of the database, without tables."""
    url: str = postgresql.emptied()
    return url
