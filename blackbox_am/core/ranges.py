"""Checks of a plug-in's parameters."""

from __future__ import annotations

from blackbox_am.errors import InvalidSpec


def check(fits: bool, field: str, expected: str, value: object) -> None:
    """Refuses a parameter that does not fit.

    Raises:
        InvalidSpec: with the field, the expected range and the actual value.
    """
    if not fits:
        raise InvalidSpec(f"{field}: expected {expected}, got {value!r}", field=field)
