"""SIGTERM that leaves nothing running of what a command has started."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ends_in_order() -> Iterator[None]:
    """SIGTERM ends what is within as Ctrl-C does: contexts are left, and what they started ends.

    By itself the signal ends this process at once, and servers in sessions of their own go on.
    The exit code is the shell's for the signal, 143. A second SIGTERM does not cut short what
    the first has begun. Off the main thread, which alone hears signals, nothing changes.
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
