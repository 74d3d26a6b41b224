"""An oracle that answers with a gigabyte is refused early, and that costs no memory."""

import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
import torch

from blackbox_am.core.oracle import Oracle
from blackbox_am.core.units import Unit
from blackbox_am.errors import OracleFailed
from blackbox_am.oracles.grpc.remote import Remote
from blackbox_am.oracles.http import Http
from blackbox_am.oracles.process.subprocess import Subprocess
from tests import forked

GIGABYTE = 2**30
MOST_MEMORY = 160 * 2**20
MOST_PIECES = 160  # of a megabyte, that are taken before the answer is refused

GRPC = """
import sys
from concurrent import futures
import grpc
from blackbox_am.core.capability import Capability
from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.rpc import chunks, progress, tensors
from blackbox_am.v1 import oracle_service_pb2 as pb
from blackbox_am.v1.oracle_service_pb2_grpc import (
    OracleServiceServicer, add_OracleServiceServicer_to_server)

LENGTH = 2**30
info = OracleInfo("simulated", Capability.UNITS, (3, 8, 8),
                  (LayerInfo("scores", "linear", (4,), ("unit",)),), batch_size=4096)

class Endless(OracleServiceServicer):
    def DescribeOracle(self, request, context):
        return progress.oracle_to_proto("", info)

    def ObserveStream(self, requests, context):
        first = next(requests)
        rows = first.header.stimuli.shape[0]
        for _ in requests:
            pass
        shape = (rows, 4) if sys.argv[1] == "undeclared" else (LENGTH // 4, 1)
        activations = tensors.header("float32", shape)
        yield pb.ObserveStreamResponse(header=pb.ObserveResponse(activations=activations))
        piece = next(chunks.split(bytes(2**20)))
        for number in range(LENGTH // 2**20):
            piece.offset, piece.total_size = number * 2**20, LENGTH
            yield pb.ObserveStreamResponse(chunk=piece)

server = grpc.server(futures.ThreadPoolExecutor(2))
add_OracleServiceServicer_to_server(Endless(), server)
name = "blackbox_am.v1.OracleService"
server.add_registered_method_handlers(name, {"Observe": grpc.unary_unary_rpc_method_handler(
    lambda request, context: None, response_serializer=lambda answer: bytes(LENGTH))})
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
"""


@contextmanager
def remote(kind: str, rows: int) -> Iterator[tuple[Oracle, int]]:
    command = [sys.executable, "-c", GRPC, kind]
    with forked.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        oracle = Remote(f"127.0.0.1:{int(server.stdout.readline())}")
        oracle.describe()
        yield oracle, rows
        oracle.close()
        server.kill()


class Api(BaseHTTPRequestHandler):
    """Answers with a gigabyte, and says so before, or not.

    Attributes:
        sent: pieces of a megabyte.
    """

    sent: ClassVar[int] = 0

    def log_message(self, *args):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        if self.path == "/declared":
            self.send_header("Content-Length", str(GIGABYTE))
        self.end_headers()
        with suppress(OSError):  # nobody reads it to the end
            for _ in range(GIGABYTE // 2**20):
                self.wfile.write(b"[" * 2**20)
                type(self).sent += 1


@contextmanager
def http(path: str) -> Iterator[tuple[Oracle, int]]:
    Api.sent = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        oracle = Http(f"http://127.0.0.1:{server.server_port}/{path}", (3, 8, 8), units=4)
        yield oracle, 4
        oracle.close()
        server.shutdown()
        thread.join()


@contextmanager
def program(protocol: str, begins: str) -> Iterator[tuple[Oracle, int]]:
    text = (
        "import sys\n"
        f"sys.stdin.buffer.{'readline()' if protocol == 'json' else 'read(8 + 4 * 4 * 192)'}\n"
        f"sys.stdout.buffer.write({begins})\n"
        f"for _ in range({GIGABYTE // 2**20}):\n"
        "    sys.stdout.buffer.write(b'[' * 2**20)\n"
    )
    command = (sys.executable, "-S", "-c", text)
    oracle = Subprocess(command, (3, 8, 8), units=4, protocol=protocol)
    yield oracle, 4
    oracle.close()


ANSWERS: dict[str, Callable[[], object]] = {
    "remote, one message": lambda: remote("message", 4),
    "remote, a stream that declares it": lambda: remote("declared", 4096),
    "remote, a stream that does not": lambda: remote("undeclared", 4096),
    "http, declared": lambda: http("declared"),
    "http, not declared": lambda: http("undeclared"),
    "subprocess, a line": lambda: program("json", "b''"),
    "subprocess, declared frames": lambda: program("frames", "b'\\0\\0\\0\\x10\\4\\0\\0\\0'"),
    "subprocess, frames that go on": lambda: program("frames", "b'\\4\\0\\0\\0\\4\\0\\0\\0'"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_a_gigabyte_is_refused_early(case: str) -> None:
    with ExitStack() as stack:
        oracle, rows = stack.enter_context(ANSWERS[case]())
        stimuli = torch.zeros(rows, 3, 8, 8)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(OracleFailed) as found:
            oracle.observe(stimuli, [Unit("scores", j) for j in range(4)])
        grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert Api.sent < MOST_PIECES
    assert grown < MOST_MEMORY
    assert any(
        word in found.value.message for word in ("more than", "expected", "larger than max")
    ), found.value.message
