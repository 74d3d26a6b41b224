"""Checks of parameters that several optimizers share, each with one sentence for the user."""

from __future__ import annotations

import math


def positive(**values: float | None) -> None:
    """Checks that values are positive and finite; None passes.

    Raises:
        ValueError: naming the first that is not.
    """
    for name, value in values.items():
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be positive and finite, got {value}")


def at_least(least: int, why: str, **values: int | None) -> None:
    """Checks that values are `least` or more, since `why`; None passes.

    Raises:
        ValueError: naming the first that is not.
    """
    for name, value in values.items():
        if value is not None and value < least:
            raise ValueError(f"{name} must be at least {least}, since {why}; got {value}")


def share(**values: float | None) -> None:
    """Checks that values lie in [0, 1]; None passes.

    Raises:
        ValueError: naming the first that does not.
    """
    for name, value in values.items():
        if value is not None and not 0 <= value <= 1:
            raise ValueError(f"{name} must be in [0, 1], got {value}")


def memory(value: int) -> None:
    """Checks that `max_bytes` is positive.

    Raises:
        ValueError: if `max_bytes` is not positive.
    """
    if value < 1:
        raise ValueError(f"max_bytes must be positive, got {value}")
