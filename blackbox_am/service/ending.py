"""What a stopping server does about calls that do not end."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

log = logging.getLogger(__name__)

LAST_SECONDS = 1.0
"""Seconds in which threads without work have to end."""
EXIT_SECONDS = 5.0
"""Seconds that the exit functions have."""


async def within(seconds: float, function: Callable[[], None]) -> bool:
    """Calls `function` in a thread that does not keep the process running, and waits for its end
    for at most `seconds`. Returns whether the function has ended.
    """
    ended, loop = asyncio.Event(), asyncio.get_running_loop()

    def work() -> None:
        try:
            function()
        finally:
            with suppress(RuntimeError):  # nobody waits any more
                loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=work, name="closing", daemon=True).start()
    try:
        await asyncio.wait_for(ended.wait(), seconds)
    except TimeoutError:
        log.warning("calls have not ended after %g s and are left behind", seconds)
        return False
    return True


def keeps_running() -> bool:
    """Whether threads of this process would keep the interpreter from ending."""
    deadline = time.monotonic() + LAST_SECONDS
    for thread in threading.enumerate():
        if thread is threading.current_thread() or thread.daemon:
            continue
        thread.join(max(deadline - time.monotonic(), 0.0))
        if thread.is_alive():
            return True
    return False


def leave() -> NoReturn:
    """End the process with code 0 although a call hangs in a model.

    Python would wait for the threads of such calls for ever, or would end with an error of their
    native code. The exit functions end the programs of oracles and flush the log.
    """
    last = threading.Thread(target=atexit._run_exitfuncs, daemon=True)  # noqa: SLF001
    last.start()
    last.join(EXIT_SECONDS)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
