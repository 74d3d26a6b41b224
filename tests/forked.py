"""Processes that are forked from one that has imported the package already.

The import of torch takes seconds of CPU time, and many tests start processes only to kill them.
Such a process is as real as any other: it has its own memory, sockets and signals, it can be
killed, and it ends as every interpreter does. Tests of what a process imports, and one test of
each command that starts a server, start processes in the usual way.
"""

from __future__ import annotations

import atexit
import inspect
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

HOST = Path(__file__).with_name("forked_host.py")


class _Host:
    """The process that is forked, one for each process that runs tests; made at its first use."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def fork(self, request: dict[str, object], descriptors: tuple[int, ...]) -> socket.socket:
        """A socket that tells the number of the new process, and its exit status later."""
        ours, theirs = socket.socketpair()
        with self._lock, theirs:
            if self._socket is None:
                self._socket = self._start()
            data = json.dumps(request).encode()
            socket.send_fds(
                self._socket,
                [len(data).to_bytes(8, "little")],
                [*descriptors, theirs.fileno()],
            )
            self._socket.sendall(data)
        return ours

    @staticmethod
    def _start() -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, str(HOST), str(theirs.fileno())], pass_fds=[theirs.fileno()]
            )
        atexit.register(process.wait)
        atexit.register(ours.close)  # called first: the host ends with it
        return ours


_host = _Host()


class Popen(subprocess.Popen):
    """A `subprocess.Popen` of a Python program: a script, `-m module` or `-c program`.

    `-W error` may stand before it. The environment does not change how the package is imported.
    """

    def _execute_child(self, *arguments: object) -> None:
        names = list(inspect.signature(subprocess.Popen._execute_child).parameters)[1:]
        given: dict[str, Any] = dict(zip(names, arguments, strict=True))
        command, *words = map(os.fspath, given["args"])
        assert command == sys.executable, f"expected a Python program, got {command}"
        request = {
            "words": words,
            "cwd": os.fspath(given["cwd"] or Path.cwd()),
            "env": dict(os.environ if given["env"] is None else given["env"]),
            "new_session": given["start_new_session"],
        }
        pipes = [given[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        standard = tuple(number if pipe == -1 else pipe for number, pipe in enumerate(pipes))
        try:
            self._status = _host.fork(request, standard)
            self.pid = int.from_bytes(self._status.recv(8), "little")
            self._child_created = True
        finally:
            ends = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
            self._close_pipe_fds(*(given[name] for name in ends))

    def _internal_poll(self, *_: object, **__: object) -> int | None:
        try:
            return self._wait(0)
        except subprocess.TimeoutExpired:
            return None

    def _wait(self, timeout: float | None) -> int:
        with self._waitpid_lock:
            if self.returncode is None:
                self._status.settimeout(timeout)
                try:
                    status = self._status.recv(8)
                except (TimeoutError, BlockingIOError):
                    raise subprocess.TimeoutExpired(self.args, timeout) from None
                self._status.close()
                self.returncode = os.waitstatus_to_exitcode(int.from_bytes(status, "little"))
        return self.returncode


def run(
    command: list[str], *, timeout: float, check: bool = True, **options: Any
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run` with `capture_output` and `text`."""
    pipe = subprocess.PIPE
    with Popen(command, stdout=pipe, stderr=pipe, text=True, **options) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(command, process.returncode, out, err)
    assert not check or done.returncode == 0, err
    return done
