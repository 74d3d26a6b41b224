"""Targets of rows that are rendered: one a row, or one for all of them."""

from __future__ import annotations

from collections.abc import Sequence

from blackbox_am.errors import InvalidInput


def one_a_row(targets: Sequence[int], rows: int) -> tuple[int, ...]:
    """The target of each of `rows` rows, where `targets` are as many, or one for all.

    Raises:
        InvalidInput: where there is another number of them.
    """
    if len(targets) == 1:
        return tuple(targets) * rows
    if len(targets) != rows:
        raise InvalidInput(
            f"targets: expected {rows} of them, one for each row of latents, or 1 for all rows, "
            f"got {len(targets)}",
            field="targets",
        )
    return tuple(targets)
