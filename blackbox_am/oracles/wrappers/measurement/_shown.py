"""One stimulus shown several times."""

from __future__ import annotations

from collections.abc import Iterable

import torch


def gathered(answers: Iterable[torch.Tensor]) -> torch.Tensor:
    """(times, N, U) of answers (N, U), one a time; infinities are failures too, so nan."""
    shown = torch.stack(list(answers))
    return torch.where(shown.isfinite(), shown, torch.nan)
