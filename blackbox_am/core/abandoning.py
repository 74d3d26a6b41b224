"""Calls that may be abandoned while they wait for a model.

A call of a model cannot be stopped from outside. The caller says when nobody wants its answer any
more, and whatever waits for the model looks at this from time to time (`contextvars`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

LOOK_SECONDS = 0.25
"""Seconds between two looks at whether a call is abandoned."""


def _never() -> bool:
    return False


_abandoned: ContextVar[Callable[[], bool]] = ContextVar("abandoned", default=_never)


@contextmanager
def abandonable(abandoned: Callable[[], bool]) -> Iterator[None]:
    """Calls inside the context are abandoned when `abandoned` returns True.

    Args:
        abandoned: called often, from the thread that waits; must return quickly.
    """
    token = _abandoned.set(abandoned)
    try:
        yield
    finally:
        _abandoned.reset(token)


def abandoned() -> bool:
    """Whether nobody waits any more for the result of the current call."""
    return _abandoned.get()()
