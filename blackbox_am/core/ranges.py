"""Checks of a plug-in's parameters."""

from __future__ import annotations

from blackbox_am.errors import InvalidSpec


def check(fits: bool, field: str, expected: str, value: object) -> None:
    """Refuses a parameter that does not fit.

    Raises:
        InvalidSpec: naming the field, what it expects and what came.
    """
    if not fits:
        raise InvalidSpec(f"{field}: expected {expected}, got {value!r}", field=field)
