"""The result of an attribution method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from blackbox_am.analysis.figures import map_figure
from blackbox_am.analysis.results import Analysis, Arrays, Drawn, TableOfNumbers
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.types import FloatArray
from blackbox_am.errors import OracleFailed


@dataclass(frozen=True, kw_only=True)
class AttributionMap(Analysis):
    """The importance of each place of a stimulus for a unit.

    Attributes:
        stimulus: (*stimulus) float32 in [0, 1].
        score: the unit's activation for the stimulus.
        values: (*places) float64, larger is more important; `meaning` says what the values are.
        meaning: the quantity that `values` has.
        full: (*stimulus) float64, the attribution of each number of the stimulus, of methods that
            have one; else None.
        more: further arrays by name, such as standard errors.
        numbers: further tables of the page.
    """

    stimulus: NDArray[np.float32]
    score: float
    values: FloatArray
    meaning: str
    full: FloatArray | None = None
    more: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    numbers: tuple[TableOfNumbers, ...] = ()

    @classmethod
    def of(
        cls,
        subject: Subject,
        stimulus: torch.Tensor,
        score: float,
        values: FloatArray,
        meaning: str,
        **more: Any,
    ) -> AttributionMap:
        """The map of a subject's first unit, with the account of what was measured so far.

        Raises:
            OracleFailed: if a value is nan or infinite.
        """
        values = np.asarray(values, np.float64)
        wrong = int((~np.isfinite(values)).sum())
        if wrong:
            raise OracleFailed(
                f"{subject.method}: {wrong:,} of {values.size:,} places have a value that is nan "
                f"or infinite, because the answer or the gradient of this {subject.info.kind} "
                "oracle is so for this stimulus; use another stimulus, or occlusion or rise"
            )
        return cls(
            method=subject.method,
            subject=str(subject.units[0]),
            model=subject.name,
            spent=subject.spent,
            stimulus=stimulus.detach().cpu().numpy().astype(np.float32),
            score=score,
            values=values,
            meaning=meaning,
            **more,
        )

    def data(self) -> Arrays:
        found: Arrays = {
            "stimulus": self.stimulus, "score": np.array(self.score), "values": self.values
        }  # fmt: skip
        if self.full is not None:
            found["full"] = self.full
        return {**found, **self.more}

    def plot(self) -> Figure:
        return map_figure(self.stimulus, self.values, self.meaning)

    def figures(self) -> list[Drawn]:
        return [Drawn(self.plot(), f"The stimulus, and for each place: {self.meaning}.")]

    def lead(self) -> list[str]:
        place = np.unravel_index(int(self.values.argmax()), self.values.shape)
        where = ", ".join(str(int(i)) for i in place)
        largest = f"The largest value of the map is {self.values.max():.4g}, at place ({where})."
        if np.isnan(self.score):
            return [largest]
        return [
            f"The activation of {self.subject} for this stimulus is {self.score:.4g}. {largest}"
        ]

    def tables(self) -> list[TableOfNumbers]:
        return list(self.numbers)


def over_channels(full: FloatArray, places: tuple[int, ...], how: str) -> FloatArray:
    """(*places) one value a place from values (*stimulus): `max` of the absolute values over the
    channels, or their signed `sum`.
    """
    axes = tuple(range(full.ndim - len(places)))
    return np.asarray(np.abs(full).max(axes) if how == "max" else full.sum(axes))
