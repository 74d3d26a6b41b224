"""Long calls run on another thread, so that Ctrl-C interrupts the command at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def iterate(items: Iterable[T]) -> Iterator[T]:
    """Iterate over `items` and fetch each item on another thread when it is needed.

    Python raises KeyboardInterrupt on the main thread. If this happens inside a gRPC call, the
    call can stay open, and closing the channel then waits for the call without end. Long calls
    are therefore made on another thread, where KeyboardInterrupt is never raised. Closing the
    channel ends such a call.
    """
    end = object()
    iterator = iter(items)
    pool = ThreadPoolExecutor(1, thread_name_prefix="iterate")
    try:
        while (item := pool.submit(next, iterator, end).result()) is not end:
            yield item  # type: ignore[misc]  # only items get here
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def call(function: Callable[[], T]) -> T:
    """Call `function` on another thread and return its result; see `iterate`."""
    return next(iterate(function() for _ in range(1)))
