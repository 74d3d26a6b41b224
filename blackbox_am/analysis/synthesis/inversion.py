"""Inversion: a stimulus with the same activations as a given one.

Mahendran, Vedaldi, "Understanding Deep Image Representations by Inverting Them", CVPR 2015. The
search is a study with the objective `inversion`: over pixels by an optimizer of order 1, or over
the latents of a generator by any other, one query a candidate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from blackbox_am.analysis.results import Analysis, Arrays, Drawn, TableOfNumbers
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.capability import Capability
from blackbox_am.core.generator import Generator
from blackbox_am.core.metering import metering
from blackbox_am.core.oracle import Oracle, map_cells
from blackbox_am.core.types import LayerInfo
from blackbox_am.core.units import Unit, find_layer
from blackbox_am.errors import InvalidSpec
from blackbox_am.objectives.inversion import Inversion
from blackbox_am.plots import sheet
from blackbox_am.studies.local import maximise

MOST_VALUES = 4096
"""Activations that an objective compares; the journal keeps all of them for every row."""


@dataclass(frozen=True, kw_only=True)
class InvertedStimulus(Analysis):
    """A stimulus that was found from the activations of another one.

    Attributes:
        reference: (*stimulus) the other one.
        found: (*stimulus).
        values: number of activations that were compared.
        error: |a - v|^2 / |v|^2 of their activations a and v; 0 is equal.
        pixel_error: mean squared difference of the stimuli.
    """

    reference: NDArray[np.float32]
    found: NDArray[np.float32]
    values: int
    error: float
    pixel_error: float

    def data(self) -> Arrays:
        return {
            "reference": self.reference,
            "found": self.found,
            "error": np.array(self.error),
            "pixel_error": np.array(self.pixel_error),
        }

    def plot(self) -> Figure:
        return sheet([self.reference, self.found], columns=2)

    def figures(self) -> list[Drawn]:
        return [Drawn(self.plot(), "The given stimulus, and the one that was found.")]

    def lead(self) -> list[str]:
        return [
            (
                f"From {self.values:,} activations of {self.subject}, a stimulus was found whose "
                f"activations differ by {self.error:.2%} of their squared length."
            )
        ]

    def tables(self) -> list[TableOfNumbers]:
        rows = [
            ("error of the activations, |a - v|² / |v|²", self.error),
            ("mean squared difference of the stimuli", self.pixel_error),
        ]
        return [TableOfNumbers("Errors", ("measure", "value"), rows)]


def invert(
    oracle: Oracle,
    layer: str,
    reference: Any,
    generator: Generator,
    *,
    positions: bool = True,
    optimizer: str = "auto",
    queries: int = 2000,
    tv: float = 0.0,
    seed: int = 0,
    **study: Any,
) -> InvertedStimulus:
    """Find a stimulus with the activations of `reference`.

    Args:
        oracle: any oracle; with gradients for an optimizer of order 1, such as `adam`.
        layer: the layer.
        reference: (*stimulus).
        generator: in which the stimulus is searched: `Pixels` for gradients, a generator of natural
            stimuli for a black box.
        positions: whether every position of a map counts (needs maps), or the mean of each unit.
        optimizer, queries, seed: of the search.
        tv: weight of the total variation of the stimulus.
        study: further arguments of `maximise`, such as `parameters`.

    Raises:
        CapabilityMissing: for positions of an oracle without maps.
        GradientUnavailable: for an optimizer of order 1 on an oracle without gradients.
        InvalidSpec: for a layer of more than 4,096 values.
        ShapeMismatch, UnknownUnit, OracleFailed: see `Subject`.
    """
    with metering() as meter:  # a function oracle measures a row when it is first described
        info = oracle.describe()
    units = _units(find_layer(info, Unit(layer)), positions=positions)
    needs = Capability.MAPS if positions and units[0].position else Capability(0)
    subject = Subject(
        oracle, units, method="invert", needs=needs,
        instead="pass positions=False, which compares the mean of each unit",
    )  # fmt: skip
    subject.spent += meter.total
    shown = subject.stimulus(reference)
    wanted = subject.measure(shown[None])[0]
    objective = Inversion(tuple(map(str, units)), vector=tuple(wanted.tolist()))
    result = maximise(
        oracle=oracle,
        generator=generator,
        targets=[objective],
        penalties={"stimulus.tv": tv} if tv else None,
        optimizer=optimizer,
        queries_per_target=queries,
        seed=seed,
        progress=False,
        **study,
    )
    found = np.asarray(result.best[0].stimulus, np.float32)
    again = subject.measure(torch.from_numpy(found)[None])[0]
    return InvertedStimulus(
        method="invert",
        subject=layer,
        model=subject.name,
        parameters={
            "generator": generator.kind, "optimizer": result.progress.optimizer,
            "queries": queries, "total variation": tv, "seed": seed,
        },
        spent=subject.spent + result.progress.spent,
        reference=shown.numpy(),
        found=found,
        values=len(wanted),
        error=float(((again - wanted) ** 2).sum() / (wanted**2).sum()),
        pixel_error=float(((found - shown.numpy()) ** 2).mean()),
    )  # fmt: skip


def _units(layer: LayerInfo, *, positions: bool) -> list[Unit]:
    cells = map_cells(layer, 2**31) if positions else None
    units = [Unit(layer.name, u) for u in range(layer.units)]
    if cells is not None:
        units = [
            Unit(layer.name, u, (row, column))
            for u in range(layer.units)
            for row in range(cells[0])
            for column in range(cells[1])
        ]
    if len(units) > MOST_VALUES:
        raise InvalidSpec(
            f"invert: layer {layer.name!r} has {len(units):,} values, more than {MOST_VALUES:,}; "
            "name a smaller layer, or pass positions=False",
            field="layer",
        )
    return units
