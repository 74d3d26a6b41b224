"""The gradients that attacks of order 1 are told."""

from __future__ import annotations

import torch

from blackbox_am.core.space import Space
from blackbox_am.errors import GradientUnavailable
from blackbox_am.optimizers.attacks._steps import slopes_of


def needed(
    name: str, space: Space, scores: torch.Tensor, gradients: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients with respect to changes (K, P, D), 0 for rows that failed, and the rows (K, P) that
    did not fail.

    Raises:
        GradientUnavailable: if there are no gradients; the message contains `name`.
    """
    if gradients is None:
        raise GradientUnavailable(
            f"{name} needs the gradients of the scores and got none; use an oracle and a generator "
            "that can be differentiated, or an attack without gradients such as `square`",
            field="optimizer.name",
        )
    moves = gradients.isfinite().all(-1) & ~scores.isnan()
    return torch.where(moves.unsqueeze(-1), slopes_of(space, gradients), 0.0), moves
