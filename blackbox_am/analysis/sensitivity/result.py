"""The result of a Sobol analysis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.figure import Figure

from blackbox_am.analysis.figures import bars_figure
from blackbox_am.analysis.results import Analysis, Arrays, Drawn, TableOfNumbers
from blackbox_am.analysis.sensitivity.indices import WIDE, Indices
from blackbox_am.analysis.sensitivity.pruning import Pruning


@dataclass(frozen=True, kw_only=True)
class SobolAnalysis(Analysis):
    """Sobol indices of the inputs of a unit.

    Attributes:
        indices: of the inputs or groups.
        pruning: accuracy with inputs of low index fixed; None if it was not measured.
    """

    indices: Indices
    pruning: Pruning | None = None

    def with_pruning(self, pruning: Pruning) -> SobolAnalysis:
        """The same analysis with a pruning report, which adds to its account."""
        return replace(self, pruning=pruning, spent=self.spent + pruning.spent)

    def data(self) -> Arrays:
        found = self.indices
        arrays: Arrays = {
            "names": np.array(found.names),
            "S1": found.first,
            "ST": found.total,
            "S1_interval": found.first_interval,
            "ST_interval": found.total_interval,
        }
        if self.pruning is not None:
            arrays |= {"pruning_scores": np.array([step.score for step in self.pruning.steps])}
        return arrays

    def plot(self) -> Figure:
        found = self.indices
        order = np.argsort(-found.total, kind="stable")
        return bars_figure(
            [found.names[place] for place in order],
            [
                ("ST, total", found.total[order], found.total_interval[order]),
                ("S1, alone", found.first[order], found.first_interval[order]),
            ],
            y_label="share of the variance",
        )

    def figures(self) -> list[Drawn]:
        return [
            Drawn(self.plot(), "Sobol indices with 95 % intervals, the largest total index first.")
        ]

    def lead(self) -> list[str]:
        found = self.indices
        if found.variance == 0:
            return list(found.notes)
        order = np.argsort(-found.total)[:3]
        best = ", ".join(f"{found.names[i]} ({found.total[i]:.2f})" for i in order)
        alone = float(found.first.sum())
        sentences = [f"The inputs with the largest total indices are {best}."]
        if found.total_interval.max() <= WIDE:
            sentences.append(
                f"Alone, the inputs explain {min(alone, 1.0):.0%} of the variance; the rest are "
                "interactions."
            )
        return sentences + ([] if self.pruning is None else [self.pruning.in_words()])

    def tables(self) -> list[TableOfNumbers]:
        found = [indices_table(self.indices)]
        return found if self.pruning is None else [*found, self.pruning.table()]


def indices_table(found: Indices, most: int | None = None) -> TableOfNumbers:
    """The indices with their intervals, the largest total index first."""
    order: Sequence[int] = np.argsort(-found.total, kind="stable").tolist()[:most]
    rows = [
        (
            found.names[i],
            found.first[i],
            f"±{found.first_interval[i]:.2g}",
            found.total[i],
            f"±{found.total_interval[i]:.2g}",
        )
        for i in order
    ]
    return TableOfNumbers(
        "Sobol indices",
        ("input", "S1, alone", "95 %", "ST, total", "95 %"),
        rows,
        "S1 is the share of the variance that an input explains alone; ST is the share that is "
        "lost when it is fixed, with all its interactions.",
    )
