"""A real server of the Open Inference Protocol in a separate process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sysconfig
import time
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.error import URLError
from urllib.request import urlopen

from blackbox_am.errors import ServerUnavailable
from blackbox_am.testing.inference_servers import network
from blackbox_am.testing.inference_servers.environments import python_of

START_SECONDS = 120.0
STOP_SECONDS = 10.0

_HERE = Path(__file__).parent


class InferenceServer:
    """A server with the models of `network.MODELS`; the end of the context stops it.

    Args:
        kind: `mlserver`, `kserve` or `triton`.
        folder: folder of the configuration and the log.

    Attributes:
        python: the Python of the server's environment.
        grpc: address for gRPC, host:port.
        http: address for HTTP, host:port.
        log: file of the server's output.

    Raises:
        Unsupported: if the server cannot be installed.
    """

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.python = python_of(kind)
        self.log = folder / f"{kind}.log"
        self._folder = folder
        self._ports = _free_ports(3)
        self.http, self.grpc = (f"127.0.0.1:{port}" for port in self._ports[:2])

    def __enter__(self) -> Self:
        environment = {
            **os.environ,
            "PYTHONPATH": str(_HERE),
            # Triton's Python backend needs the shared library of this Python.
            "LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR")),
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
        }
        with self.log.open("wb") as sink:
            self._process = subprocess.Popen(  # noqa: S603  # our own command
                self._command(),
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=environment,
                start_new_session=True,  # a process group, which ends as a whole
            )
        try:
            self._await()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End every process of the server's group."""
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def survivors(self) -> list[int]:
        """Process ids of the server's processes that still run, found by their command lines."""
        mark = str(self.python.parent.parent)
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (place / "cmdline").read_bytes().decode("utf-8", "replace")
                if mark in command and str(self._ports[0]) in command:
                    found.append(int(place.name))
        return found

    def tail(self, lines: int = 15) -> str:
        """The last lines of the server's output."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])

    def _command(self) -> list[str]:
        http, grpc, metrics = self._ports
        if self.kind != "mlserver":
            program = _HERE / f"on_{self.kind}.py"
            return [str(self.python), str(program), str(http), str(grpc)]
        settings = {
            "host": "127.0.0.1",
            "http_port": http,
            "grpc_port": grpc,
            "metrics_port": metrics,
            "parallel_workers": 0,
        }
        (self._folder / "settings.json").write_text(json.dumps(settings))
        for name, datatype in network.MODELS.items():
            model = self._folder / name
            model.mkdir(exist_ok=True)
            taken = {"name": network.INPUT, "datatype": datatype, "shape": [-1, *network.SHAPE]}
            outputs = [
                {"name": output, "datatype": "FP32", "shape": [-1, *shape]}
                for output, shape in network.OUTPUTS.items()
            ]
            said = {"implementation": "on_mlserver.Network", "inputs": [taken], "outputs": outputs}
            (model / "model-settings.json").write_text(json.dumps({"name": name, **said}))
        return [str(self.python.parent / "mlserver"), "start", str(self._folder)]

    def _await(self) -> None:
        """Wait until all models are ready and the gRPC port is open."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise ServerUnavailable(
                    f"{self.kind} ended at once; its output ends with:\n{self.tail()}"
                )
            if all(self._ready(name) for name in network.MODELS):
                host, port = self.grpc.split(":")
                with suppress(OSError), socket.create_connection((host, int(port)), 1):
                    return
            time.sleep(0.1)
        raise ServerUnavailable(
            f"{self.kind} took over {START_SECONDS:.0f} s; its output ends with:\n{self.tail()}"
        )

    def _ready(self, model: str) -> bool:
        try:
            with urlopen(f"http://{self.http}/v2/models/{model}/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
