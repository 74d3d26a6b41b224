"""Waiting for what is done on another thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def iterate(items: Iterable[T]) -> Iterator[T]:
    """`items`, each fetched on another thread when it is wanted.

    Ctrl-C is raised on the main thread, wherever that is just then. Inside a gRPC call it
    can leave the channel with a call that nobody ends, and closing the channel waits for
    that for ever. So calls that take long are made on a thread that Ctrl-C never reaches;
    closing the channel ends them.
    """
    end = object()
    iterator = iter(items)
    pool = ThreadPoolExecutor(1, thread_name_prefix="iterate")
    try:
        while (item := pool.submit(next, iterator, end).result()) is not end:
            yield item  # type: ignore[misc]  # what is not the end is an item
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def call(function: Callable[[], T]) -> T:
    """What `function` returns or raises, called on another thread; see `iterate`."""
    return next(iterate(function() for _ in range(1)))
