"""Orderly end of a command on SIGTERM."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ends_in_order() -> Iterator[None]:
    """Make SIGTERM exit all contexts inside this context, as Ctrl-C does.

    Without this, SIGTERM ends the process at once, and the servers that it started keep running.
    The exit code is 143, the shell's code for the signal. A second SIGTERM is ignored. Outside
    the main thread, which alone receives signals in Python, this context has no effect.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
