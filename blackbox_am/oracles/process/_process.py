"""One running program: requests go to its standard input, answers come from its standard output.

Written with `selectors` and not with `Popen.communicate`, which ends the program with the first
answer: here one program answers many requests, each within a time limit.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
import weakref
from collections.abc import Callable, Mapping, Sequence

from blackbox_am.errors import InvalidSpec, OracleFailed, OracleTimeout, OracleUnavailable

STDERR_BYTES = 2000
"""Number of bytes at the end of the standard error that errors show."""

_CHUNK = 2**16
_GRACE_SECONDS = 2.0


class Process:
    """One running program in a separate process group. Only one thread may use it at a time.

    The program's standard error is read during a request, and its end is kept for errors.

    Raises:
        InvalidSpec: if the program cannot be started.
    """

    def __init__(
        self, command: Sequence[str], folder: str | None, environment: Mapping[str, str]
    ) -> None:
        self.name = command[0]
        self._tail = bytearray()
        try:
            # The command is the operator's, and no shell reads it.
            self._popen = subprocess.Popen(  # noqa: S603
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                cwd=folder or None,
                env={**os.environ, **environment},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise InvalidSpec(
                f"command: cannot start {self.name!r}: {error}", field="command"
            ) from error
        streams = (self._popen.stdin, self._popen.stdout, self._popen.stderr)
        self._in, self._out, self._err = (s.fileno() for s in streams if s is not None)
        for descriptor in (self._in, self._out, self._err):
            os.set_blocking(descriptor, False)
        # The program also ends with the interpreter, or when this object is collected.
        self._end = weakref.finalize(self, _end, self._popen)

    @property
    def alive(self) -> bool:
        """Whether the program runs.

        A program that has ended is not reaped here, so that no other process gets its number.
        """
        return self._end.alive and _runs(self._popen)

    def end(self) -> None:
        """Ends the program and every process of its group, and reaps the program."""
        self._end()

    def stop(self) -> None:
        """Ends every process of the group and reaps none, so that any thread may call it."""
        if self._end.alive:
            _stop(self._popen)

    def ask(
        self,
        message: bytes,
        length_of: Callable[[bytearray], int | None],
        limit: int,
        seconds: float,
    ) -> bytes:
        """Writes a request and returns the answer.

        Args:
            message: the request.
            length_of: takes the bytes read so far; returns the length of the answer at their
                start, or None while the answer is incomplete. May raise.
            limit: maximum length of an answer, in bytes.
            seconds: time limit of the whole exchange.

        Raises:
            OracleUnavailable: if the program ends before it has answered.
            OracleTimeout: if the program does not answer in time.
            OracleFailed: if the program wrote before the request, or more than one answer.
        """
        deadline = time.monotonic() + seconds
        self._refuse_early()
        answer, pending, length = bytearray(), memoryview(message), None
        with selectors.DefaultSelector() as selector:
            selector.register(self._in, selectors.EVENT_WRITE)
            selector.register(self._out, selectors.EVENT_READ)
            selector.register(self._err, selectors.EVENT_READ)
            while length is None:
                for descriptor in self._ready(selector, deadline, seconds):
                    if descriptor == self._in:
                        pending = self._write(pending)
                        if not pending:
                            selector.unregister(self._in)
                    elif descriptor == self._err:
                        if not self._listen():
                            selector.unregister(self._err)
                    elif part := _read(self._out):
                        answer += part
                    else:
                        raise self._ended()
                length = length_of(answer)
                if length is None and len(answer) > limit:
                    raise self.problem(
                        f"answered with more than the {limit} bytes that such an answer can have: "
                        f"{shown(answer)}"
                    )
        if pending or len(answer) > length:
            came = (
                "before it had read the whole request" if pending else "with more than one answer"
            )
            raise self.problem(
                f"answered {came}: {shown(answer)}; it has to write one answer to each request, "
                "and everything else to standard error"
            )
        return bytes(answer)

    def _refuse_early(self) -> None:
        if unasked := _read(self._out):
            raise self.problem(
                f"wrote {shown(unasked)} before it was asked; it must write one answer to each "
                "request, and everything else to standard error"
            )

    def _ready(
        self, selector: selectors.BaseSelector, deadline: float, seconds: float
    ) -> list[int]:
        """The descriptors that can be read or written now; waits for one."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise OracleTimeout(
                f"the program {self.name!r} did not answer within {seconds:g} s; raise "
                f"timeout_seconds, or see what keeps it busy{self._said()}"
            )
        return [key.fd for key, _ in selector.select(left)]

    def problem(self, what: str) -> OracleFailed:
        """The error that says what the program did, with the end of its standard error."""
        self._listen()
        return OracleFailed(f"the program {self.name!r} {what}{self._said()}")

    def _ended(self) -> OracleUnavailable:
        deadline = time.monotonic() + _GRACE_SECONDS
        while self.alive and time.monotonic() < deadline:
            time.sleep(0.005)
        while self._listen():
            pass
        self.end()
        code = self._popen.returncode
        if code is not None and code < 0:
            how = f"was ended by signal {-code} ({signal.strsignal(-code)})"
        else:
            how = f"ended with status {code}"
        return OracleUnavailable(
            f"the program {self.name!r} {how} before it had answered{self._said()}"
        )

    def _write(self, pending: memoryview) -> memoryview:
        try:
            return pending[os.write(self._in, pending[:_CHUNK]) :]
        except BlockingIOError:
            return pending
        except BrokenPipeError:
            # The program reads no more, but may still answer; if it is dead, its output ends.
            return pending[len(pending) :]

    def _listen(self) -> bool:
        """Reads the available standard error; False if nothing is available, or at its end."""
        part = _read(self._err)
        self._tail = (self._tail + part)[-STDERR_BYTES:]
        return bool(part)

    def _said(self) -> str:
        text = self._tail.decode("utf-8", "replace").strip()
        return f"; its standard error ends: {text}" if text else "; its standard error is empty"


def shown(data: bytes | bytearray) -> str:
    """The beginning of unexpected bytes, for a message."""
    return repr(bytes(data[:80]).decode("utf-8", "replace")) + ("..." if len(data) > 80 else "")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _CHUNK)
    except BlockingIOError:
        return b""


def _end(popen: subprocess.Popen[bytes]) -> None:
    _stop(popen)
    popen.wait()
    for stream in (popen.stdin, popen.stdout, popen.stderr):
        if stream is not None:
            stream.close()


def _stop(popen: subprocess.Popen[bytes]) -> None:
    """Sends SIGTERM to the group, and SIGKILL after a grace period or when the leader has ended."""
    _signal(popen, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_SECONDS
    while time.monotonic() < deadline and _runs(popen):
        time.sleep(0.005)
    _signal(popen, signal.SIGKILL)


def _runs(popen: subprocess.Popen[bytes]) -> bool:
    try:
        return os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:  # another thread has reaped it
        return False


def _signal(popen: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(popen.pid, number)
    except (ProcessLookupError, PermissionError):  # the group is gone; macOS says the second
        return
