"""A time limit for one call."""

from __future__ import annotations

import contextvars
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from queue import SimpleQueue
from typing import ClassVar

import torch

from blackbox_am.core.abandoning import LOOK_SECONDS, CallAbandoned, abandonable, abandoned
from blackbox_am.core.parameters import check
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import OracleTimeout, OracleUnavailable

Job = Callable[[], torch.Tensor]


@dataclass(frozen=True)
class Timeout(Wrapper):
    """Raises `OracleTimeout` where a call takes too long.

    The call runs in a thread of its own, which cannot be stopped: an abandoned call runs on until
    it returns, and its answer is dropped. The threads are daemons, so that the process can end.
    While `stuck` abandoned calls have not returned, new calls raise `OracleUnavailable`.

    Attributes:
        seconds: time limit of one call.
        stuck: number of abandoned calls that may run at once.
    """

    kind: ClassVar[str] = "timeout"

    seconds: float = 60.0
    stuck: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = 0 < self.seconds <= threading.TIMEOUT_MAX and self.seconds < math.inf
        check(fits, "seconds", "a positive number", self.seconds)
        check(self.stuck >= 1, "stuck", "1 or more", self.stuck)
        _ = self._runners  # made before threads can race for it

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        grad = torch.is_grad_enabled()  # is each thread's own
        context = contextvars.copy_context()

        def ask() -> torch.Tensor:
            # A wrapper inside makes no new call for a call that was given up.
            with torch.set_grad_enabled(grad), abandonable(lambda: call.given_up):
                return self.ask(stimuli, units)

        call = _Call(lambda: context.run(ask))
        self._runners.start(call, self.stuck)
        error = self._waited(call, len(stimuli))
        if error is not None and self._runners.give_up(call):
            raise error
        return call.result()

    def too_late(self, rows: int) -> OracleTimeout:
        """The error for a call of `rows` stimuli that took too long."""
        return OracleTimeout(
            f"the oracle did not answer {rows} rows within {self.seconds:g} s; raise "
            "`seconds`, or see what keeps it busy"
        )

    @property
    def hanging(self) -> int:
        """The number of calls that were given up and have not returned."""
        return self._runners.given_up

    def _waited(self, call: _Call, rows: int) -> OracleTimeout | None:
        """Wait for the call. Returns the error if it reaches its time limit, or if nobody waits for
        it any more.
        """
        deadline = time.monotonic() + self.seconds
        while (left := deadline - time.monotonic()) > 0:
            if abandoned():
                return CallAbandoned.of(rows)
            if call.done.wait(min(left, LOOK_SECONDS)):
                return None
        return self.too_late(rows)

    @cached_property
    def _runners(self) -> _Runners:
        return _Runners()


class _Call:
    """A call, and its answer or error."""

    def __init__(self, job: Job) -> None:
        self.done = threading.Event()
        self.given_up = False
        self._job = job
        self._answer: torch.Tensor | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._answer = self._job()
        except BaseException as error:  # noqa: BLE001  # raised again in the thread that asked
            self._error = error

    def result(self) -> torch.Tensor:
        if self._error is not None:
            raise self._error
        assert self._answer is not None  # the call has ended
        return self._answer


class _Runners:
    """Threads that wait for calls. A thread is made where none is idle.

    Threads are reused, because torch would create a thread pool for each new thread.

    Attributes:
        given_up: number of abandoned calls that have not returned.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[SimpleQueue[_Call]] = []
        self.given_up = 0

    def start(self, call: _Call, stuck: int) -> None:
        with self._lock:
            if self.given_up >= stuck:
                raise OracleUnavailable(
                    f"{self.given_up} calls that were given up have not returned; the oracle "
                    "hangs, and gets no new call until one returns"
                )
            calls = self._idle.pop() if self._idle else None
        if calls is None:
            calls = SimpleQueue()
            threading.Thread(target=self._work, args=(calls,), name="timeout", daemon=True).start()
        calls.put(call)

    def give_up(self, call: _Call) -> bool:
        """Abandons the call; False if the call has just returned."""
        with self._lock:
            if call.done.is_set():
                return False
            call.given_up = True
            self.given_up += 1
            return True

    def _work(self, calls: SimpleQueue[_Call]) -> None:
        while True:
            call = calls.get()
            with self._lock:
                wanted = not call.given_up  # it may be abandoned before it begins
            if wanted:
                call.run()
            with self._lock:
                self.given_up -= call.given_up
                self._idle.append(calls)
                call.done.set()
            del call  # frees the answer while this thread waits
