"""Examination of candidates without a model: whether their stimuli are finite, and their
measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.batches import in_fixed_batches
from blackbox_am.core.generator import Generator
from blackbox_am.core.layout import Layout
from blackbox_am.core.types import FloatArray
from blackbox_am.evaluation._table import measured
from blackbox_am.evaluation.evaluator import Rows
from blackbox_am.evaluation.rendering import ROWS


@dataclass(frozen=True)
class Examination:
    """The data about candidates that are known before a client measures them.

    Attributes:
        values: (R, U) float64: each row's own measures in the columns of its target's layout, nan
            elsewhere.
        rendered: (R,) bool, false if the stimulus is not finite.
        stimuli: (R, *stimulus) float32 in [0, 1]; None if they were not requested.
    """

    values: FloatArray
    rendered: NDArray[np.bool_]
    stimuli: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Examiner:
    """Renders candidates for clients.

    Attributes:
        generator: from latents to stimuli.
        layouts: the measured quantities of each target.
    """

    generator: Generator
    layouts: Sequence[Layout]

    def examine(self, rows: Rows, *, stimuli: bool = False) -> Examination:
        """Renders `rows` and computes their measures.

        Args:
            rows: the candidates.
            stimuli: whether to return the stimuli, which are then rendered as everywhere, in
                batches of `ROWS`.
        """
        targets = torch.from_numpy(rows.targets)
        names = tuple(dict.fromkeys(name for layout in self.layouts for name in layout.measures))

        def look(latents: torch.Tensor, mine: torch.Tensor) -> torch.Tensor:
            shown = self.generator.render_targets(latents, mine)
            finite = shown.flatten(1).isfinite().all(1)
            values = measured(self.generator, names, latents, shown, mine)
            if stimuli:
                seen.append(shown.to("cpu", torch.float32).numpy())
            return torch.cat([values, finite.to(values)[:, None]], dim=1)

        seen: list[NDArray[np.float32]] = []
        with torch.no_grad():
            size = ROWS if stimuli else min(ROWS, len(rows))
            table = in_fixed_batches(look, rows.latents, size, targets).cpu().numpy()
        width = max(len(layout.quantities) for layout in self.layouts)
        values = np.full((len(rows), width), np.nan)
        for target in np.unique(rows.targets):
            mine, layout = rows.targets == target, self.layouts[target]
            columns = [len(layout.units) + i for i in range(len(layout.measures))]
            found = [names.index(name) for name in layout.measures]
            values[np.ix_(mine, columns)] = table[mine][:, found]
        whole = np.concatenate(seen)[: len(rows)] if stimuli else None
        return Examination(values, table[:, -1] > 0, whole)
