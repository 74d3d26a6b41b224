"""Batches are halved until they fit into memory or into a message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch

from blackbox_am.core.batches import BatchLimit, in_fixed_batches
from blackbox_am.core.metering import count, metering
from blackbox_am.core.parameters import check
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import MessageTooLarge, OutOfMemory

_TOO_LARGE = (OutOfMemory, MessageTooLarge, MemoryError, torch.cuda.OutOfMemoryError)


@dataclass(frozen=True)
class Halving(Wrapper):
    """Halves a batch that does not fit into memory or a message, and remembers the size.

    All later batches are split into pieces of at most that size. For an oracle whose rows cost
    nothing, all pieces are padded to one shape. Even so, the last bits of an activation may
    depend on that shape, and so on whether a batch was halved. A batch whose gradient is wanted is
    passed on whole: the pieces would stay in memory until the backward pass, and a study halves the
    whole pass.

    Attributes:
        smallest: a batch of this many rows, or fewer, that does not fit is an error.
    """

    kind: ClassVar[str] = "halving"

    smallest: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.smallest >= 1, "smallest", "1 or more", self.smallest)
        _ = self._size  # made before threads can race for it

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        if stimuli.requires_grad and torch.is_grad_enabled():
            return self.ask(stimuli, units)
        pieces: list[torch.Tensor] = []
        start = 0
        while start < len(stimuli) or not pieces:
            size = self._size.known
            rows = stimuli[start:] if size is None else stimuli[start : start + size]
            tried = len(rows) if size is None or self.billable else size
            try:
                with metering() as meter:
                    pieces.append(self._piece(rows, units, size))
            except _TOO_LARGE as error:
                if tried <= self.smallest:
                    raise
                self._size.shrink(max(tried // 2, self.smallest), error)
                count(meter.lost())
            else:
                start += len(rows)
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def _piece(self, rows: torch.Tensor, units: Sequence[Unit], size: int | None) -> torch.Tensor:
        if size is None or self.billable or not len(rows):
            return self.ask(rows, units)
        return in_fixed_batches(lambda piece: self.ask(piece, units), rows, size)

    @cached_property
    def _size(self) -> BatchLimit:
        return BatchLimit()
