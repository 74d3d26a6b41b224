"""The mean answer over several presentations of each stimulus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.core.parameters import check
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper


@dataclass(frozen=True)
class Repeat(Wrapper):
    """Presents each stimulus several times and answers with the mean.

    n presentations cost n rows and make the deviation of independent noise smaller by the
    square root of n. Presentations that failed (nan) are left out of the mean; an infinite
    answer makes the mean infinite.

    Attributes:
        presentations: how often each stimulus is presented.
    """

    kind: ClassVar[str] = "repeat"
    changes_answers: ClassVar[bool] = True

    presentations: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.presentations >= 1, "presentations", "1 or more", self.presentations)

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        return self._shown(stimuli, units).nanmean(dim=0)

    def observe_with_error(
        self, stimuli: torch.Tensor, units: Sequence[Unit]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Means and their standard errors, each (N, U).

        The error is that of the mean of the presentations that did not fail: their deviation
        (n - 1 in the denominator) by the square root of their number; nan for fewer than two.
        """
        shown = self._shown(stimuli, units)
        mean = shown.nanmean(dim=0)
        times = shown.isfinite().sum(dim=0)
        squares = (shown - mean).square().nansum(dim=0)
        error = (squares / (times - 1).clamp_min(1) / times.clamp_min(1)).sqrt()
        return mean, torch.where(times > 1, error, torch.nan)

    def _shown(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        """(presentations, N, U)."""
        return torch.stack([self.ask(stimuli, units) for _ in range(self.presentations)])
