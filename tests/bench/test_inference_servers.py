import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from blackbox_am.bench.cli import app
from blackbox_am.bench.inference_servers import measure
from blackbox_am.errors import InvalidInput, Unsupported
from blackbox_am.testing.inference_servers import environments

STAND_IN = """
import os, signal, socket, subprocess, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

http, grpc, status, pids = sys.argv[1:]
stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); "
child = subprocess.Popen(
    [sys.executable, "-S", "-c", stubborn + "time.sleep(300)"], stdout=subprocess.PIPE
)
child.stdout.readline()

class Ready(BaseHTTPRequestHandler):
    def do_GET(self):
        Path(pids).write_text(f"{os.getpid()} {child.pid}")
        self.send_response(int(status))
        self.end_headers()

with socket.create_server(("127.0.0.1", int(grpc))):  # listens, and never answers
    ThreadingHTTPServer(("127.0.0.1", int(http)), Ready).serve_forever()
"""

BENCH = """
import sys
from pathlib import Path
from blackbox_am.bench import cli, inference_servers
from blackbox_am.testing.inference_servers import server

class StandIn(server.InferenceServer):
    def _command(self):
        return [sys.executable, sys.argv[1], *map(str, self._ports[:2]), *sys.argv[2:]]

server.python_of = lambda kind: Path(sys.executable)
inference_servers.InferenceServer = StandIn
cli.app(["inference-servers", "--server", "mlserver", "--protocol", "grpc"])
"""


def runs(pid: int) -> bool:
    """Whether a process runs; a zombie process does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("status", [200, pytest.param(503, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_sigterm_also_ends_the_server(status: int, tmp_path: Path) -> None:
    """The signal arrives while the client waits (200), or while the server starts (503)."""
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    pids = tmp_path / "pids"
    command = [sys.executable, "-c", BENCH, tmp_path / "stand_in.py", str(status), pids]
    with (
        ExitStack() as left,
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process,
    ):
        deadline = time.monotonic() + 60
        if status == 200:
            assert process.stderr is not None
            while "over grpc: 9 x 40" not in (line := process.stderr.readline()):
                assert line, "it ended"
        while not pids.exists() or not pids.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.2)
        started = [int(pid) for pid in pids.read_text().split()]
        assert all(runs(pid) for pid in started)
        for pid in started:
            left.callback(end, pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 128 + signal.SIGTERM
        deadline = time.monotonic() + 5  # what was killed takes a moment to go
        while any(runs(pid) for pid in started):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_the_help_describes_the_installation() -> None:
    said = CliRunner().invoke(app, ["inference-servers", "--help"], env={"COLUMNS": "200"}).output
    assert "installs each server into a virtual environment" in " ".join(said.split())
    assert environments.FOLDER_VARIABLE in said


def test_unknown_servers_are_refused() -> None:
    answer = CliRunner().invoke(app, ["inference-servers", "--server", "tritons"])
    assert isinstance(answer.exception, InvalidInput)
    assert "unknown server 'tritons'; did you mean 'triton'" in str(answer.exception)


@pytest.mark.slow
def test_a_failed_installation_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(environments.FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setitem(environments.PACKAGES, "kserve", "kserve==0.0.0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(Unsupported, match=r"cannot install kserve==0\.0\.0: ERROR"):
        environments.python_of("kserve")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("server", list(environments.PACKAGES))
def test_the_oracle_is_compared_with_the_servers_client(server: str, tmp_path: Path) -> None:
    try:
        environments.python_of(server)
    except Unsupported as error:
        pytest.skip(str(error))
    lines = measure([server], ["grpc", "http"], 8, 3, 5, lambda text: None)
    assert [line.name.split(",")[0] for line in lines] == [
        f"{server} over grpc",
        f"{server} over http",
    ]
    assert all(0.1 < line.ratio < 10 for line in lines)
    out = tmp_path / "lines.json"
    arguments = ["--server", server, "--protocol", "grpc", "--repeats", "1", "--requests", "2"]
    answer = CliRunner().invoke(app, ["inference-servers", *arguments, "--json", str(out)])
    assert answer.exit_code == 0
    (line,) = json.loads(out.read_text())
    assert line["unit"] == "rows/s"
