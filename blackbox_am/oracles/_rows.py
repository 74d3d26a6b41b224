"""Where the stimuli of a batch are in a layer's output: the batch axis, and rows folded into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from blackbox_am.oracles._probing import changed_indices


@dataclass(frozen=True)
class Rows:
    """How the stimuli lie in a layer's output.

    Attributes:
        axis: the axis that grows with the number of stimuli.
        parts: entries of this axis for each stimulus: 1, or the number of windows, frames or
            other parts that the model has folded into the batch.
        outer: whether the parts of one stimulus lie beside each other; else each part holds
            all stimuli.
    """

    axis: int
    parts: int = 1
    outer: bool = True

    def first(self, output: torch.Tensor, rows: int) -> torch.Tensor:
        """The output with the stimuli on its first axis, and their parts on the second.

        Args:
            output: as the model computed it, for `rows` stimuli.
            rows: number of stimuli.

        Returns:
            (rows, ...) or, with several parts, (rows, parts, ...): a view where that is possible.

        Raises:
            ValueError: if the output does not hold that many stimuli.
        """
        moved = output.movedim(self.axis, 0)
        if len(moved) != rows * self.parts:
            raise ValueError(f"{len(moved)} entries for {rows} stimuli")
        if self.parts == 1:
            return moved
        if self.outer:
            return moved.reshape(rows, self.parts, *moved.shape[1:])
        return moved.reshape(self.parts, rows, *moved.shape[1:]).transpose(0, 1)


@dataclass(frozen=True)
class Seen:
    """One layer's output in one pass.

    Attributes:
        shape: of the output.
        marks: a number for each index of each axis; see `row_marks`.
    """

    shape: tuple[int, ...]
    marks: tuple[torch.Tensor, ...]


def find_rows(
    rows: int, changed_row: int, plain: Seen, changed: Seen | None, fewer: tuple[int, Seen] | None
) -> Rows | str:
    """How the stimuli lie in a layer's output, or the reason why this cannot be told.

    Args:
        rows: number of stimuli in `plain` and `changed`.
        changed_row: the only stimulus in which these two batches differ.
        plain: the layer's output.
        changed: the same with the changed stimulus.
        fewer: a smaller number of stimuli and the output for them, if the model accepts this
            number.
    """
    candidates = [
        axis
        for axis, length in enumerate(plain.shape)
        if length > 0 and length % rows == 0 and _grows(axis, rows, plain, fewer)
    ]
    if not candidates:
        return "none of its axes grows with the number of stimuli"
    differing = changed_indices(plain.marks, changed.marks) if changed is not None else None
    if rows == 1 or differing is None or not any(differing):
        return _without_values(candidates, rows, plain, fewer)
    fits = []
    for axis in candidates:
        for outer in (True, False):
            found = Rows(axis, plain.shape[axis] // rows, outer)
            if differing[axis] <= _entries(found, rows, changed_row):
                fits.append(found)
                break
    if not fits:
        # The rows mix: every entry depends on every stimulus. The lengths still determine the axis.
        return _without_values(candidates, rows, plain, fewer)
    return min(fits, key=lambda one: (one.parts, one.axis))


def _grows(axis: int, rows: int, plain: Seen, fewer: tuple[int, Seen] | None) -> bool:
    if fewer is None or len(fewer[1].shape) != len(plain.shape):
        return True
    count, seen = fewer
    same = all(
        old == new
        for other, (old, new) in enumerate(zip(plain.shape, seen.shape, strict=True))
        if other != axis
    )
    return same and seen.shape[axis] * rows == plain.shape[axis] * count


def _without_values(
    candidates: Sequence[int], rows: int, plain: Seen, fewer: tuple[int, Seen] | None
) -> Rows | str:
    exact = [axis for axis in candidates if plain.shape[axis] == rows]
    if exact and (exact[0] == 0 or len(exact) == 1):
        return Rows(exact[0])
    if fewer is not None and len(candidates) == 1:
        return Rows(candidates[0], plain.shape[candidates[0]] // rows)
    return "which of its axes holds the stimuli cannot be told"


def _entries(found: Rows, rows: int, row: int) -> set[int]:
    if found.outer:
        return set(range(row * found.parts, (row + 1) * found.parts))
    return {part * rows + row for part in range(found.parts)}
