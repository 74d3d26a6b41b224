"""Calls that may be abandoned while they wait for a model.

A call of a model cannot be stopped from outside. The caller says when nobody wants its answer any
more, and whatever waits for the model looks at this from time to time (`contextvars`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from blackbox_am.errors import OracleTimeout

LOOK_SECONDS = 0.25
"""Seconds between two looks at whether a call is abandoned."""


class CallAbandoned(OracleTimeout):
    """A call of an oracle whose answer nobody waits for was given up, or was not made.

    This says nothing about the oracle, and another attempt is useless.
    """

    @classmethod
    def of(cls, rows: int) -> CallAbandoned:
        """The error for a call of `rows` stimuli."""
        return cls(f"the call of {rows} rows was abandoned, because nobody waits for it")


def _never() -> bool:
    return False


_abandoned: ContextVar[Callable[[], bool]] = ContextVar("abandoned", default=_never)


@contextmanager
def abandonable(abandoned: Callable[[], bool]) -> Iterator[None]:
    """Calls inside the context are abandoned when `abandoned` returns True, or the calls around the
    context are.

    Args:
        abandoned: called often, from the thread that waits; must return quickly.
    """
    around = _abandoned.get()
    token = _abandoned.set(lambda: abandoned() or around())
    try:
        yield
    finally:
        _abandoned.reset(token)


def abandoned() -> bool:
    """Whether nobody waits any more for the result of the current call."""
    return _abandoned.get()()
