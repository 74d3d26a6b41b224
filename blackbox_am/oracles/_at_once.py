"""Requests at the same time, each counted for whoever asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def at_once(function: Callable[[T], R], items: Sequence[T], most: int) -> list[R]:
    """`function` of each item, in order, `most` at the same time, on the meter that is open.

    Where one raises, those that have not begun do not, and the error goes on once the others
    are through.
    """
    if most < 2 or len(items) < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(min(most, len(items))) as threads:
        # A context for each: one cannot be entered twice at the same time.
        begun = [threads.submit(copy_context().run, function, item) for item in items]
        try:
            return [one.result() for one in begun]
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
