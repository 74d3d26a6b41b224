"""Calls at the same time, counted on the meter of the caller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def at_once(function: Callable[[T], R], items: Sequence[T], most: int) -> list[R]:
    """`function` of each item, in order, up to `most` at the same time, on the open meter.

    Where a call raises, calls that have not begun are cancelled. The error is raised after the
    running calls have ended.
    """
    if most < 2 or len(items) < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(min(most, len(items))) as threads:
        # Each call has its own context, because a context cannot be entered twice at a time.
        begun = [threads.submit(copy_context().run, function, item) for item in items]
        try:
            return [one.result() for one in begun]
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
