"""Network Dissection: the concept whose masks a unit's map fits best.

Bau, Zhou, Khosla, Oliva, Torralba, "Network Dissection", CVPR 2017: a unit's map is thresholded at
its top quantile over all positions of a probe set and enlarged to the size of the masks; its
concept is the one of the largest intersection over union, if that is above 0.04. The quantile here
is exact and not a running one, so that all maps of the probe set are in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch.nn import functional

from blackbox_am.analysis.figures import bars_figure
from blackbox_am.analysis.results import Analysis, Arrays, Drawn, TableOfNumbers
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.batches import fixed_batch_size, in_fixed_batches
from blackbox_am.core.capability import Capability
from blackbox_am.core.metering import count
from blackbox_am.core.oracle import Oracle, ReadsMaps, map_cells
from blackbox_am.core.parameters import check
from blackbox_am.core.types import Accounting, FloatArray, LayerInfo
from blackbox_am.core.units import Unit, find_layer
from blackbox_am.errors import InvalidSpec, ShapeMismatch

MOST_POSITIONS = 2**16
"""Positions of a layer that are read one by one, from an oracle that gives no whole maps."""
BLOCK = 64
"""Maps that are enlarged at once."""


@dataclass(frozen=True, kw_only=True)
class Dissection(Analysis):
    """Concepts of the units of a layer.

    Attributes:
        concepts: names of the C concepts.
        iou: (U, C) intersection over union over the whole probe set.
        thresholds: (U,) the quantile of each unit.
        least_iou: what a concept needs to be a unit's label.
    """

    concepts: tuple[str, ...]
    iou: FloatArray
    thresholds: FloatArray
    least_iou: float

    @property
    def labels(self) -> tuple[str | None, ...]:
        """The concept of each unit; None if no concept fits."""
        best = self.iou.argmax(1)
        return tuple(
            self.concepts[c] if self.iou[u, c] > self.least_iou else None
            for u, c in enumerate(best)
        )

    def data(self) -> Arrays:
        return {
            "concepts": np.array(self.concepts),
            "iou": self.iou,
            "thresholds": self.thresholds,
        }

    def plot(self) -> Figure:
        counts = np.array([self.labels.count(name) for name in self.concepts], np.float64)
        order = np.argsort(-counts, kind="stable")
        return bars_figure(
            [self.concepts[place] for place in order],
            [("units", counts[order], None)],
            y_label="units of this concept",
        )

    def figures(self) -> list[Drawn]:
        return [Drawn(self.plot(), "How many units have each concept as their label.")]

    def lead(self) -> list[str]:
        labelled = [one for one in self.labels if one is not None]
        return [
            (
                f"{len(labelled)} of {len(self.labels)} units of {self.subject} have a concept, "
                f"{len(set(labelled))} of {len(self.concepts)} concepts have a unit (IoU above "
                f"{self.least_iou:g})."
            )
        ]

    def tables(self) -> list[TableOfNumbers]:
        best = self.iou.argmax(1)
        rows = [
            (f"{self.subject}:{u}", label or "none", self.concepts[best[u]], self.iou[u, best[u]])
            for u, label in enumerate(self.labels)
        ]
        rows.sort(key=lambda row: -float(row[3]))
        return [TableOfNumbers("Units", ("unit", "label", "best concept", "IoU"), rows)]


def dissect(
    oracle: Oracle,
    layer: str,
    stimuli: Any,
    masks: Any,
    concepts: Sequence[str],
    *,
    quantile: float = 0.005,
    least_iou: float = 0.04,
) -> Dissection:
    """Label the units of a layer with concepts.

    Args:
        oracle: an oracle with maps.
        layer: a layer with height and width.
        stimuli: (N, *stimulus) the probe set.
        masks: (N, C, height, width) bool or 0 and 1: where each concept is in each stimulus. Height
            and width are those of the stimuli.
        concepts: names of the C concepts.
        quantile: part of all positions of the probe set at which a unit counts as on.
        least_iou: intersection over union that a label needs.

    Raises:
        CapabilityMissing: for an oracle without maps.
        ShapeMismatch: for masks of another size than the stimuli.
        InvalidSpec: for a concept with fewer than two examples, or a layer without maps.
    """
    check(0 < quantile < 1, "quantile", "a number between 0 and 1", quantile)
    subject = Subject(
        oracle,
        [Unit(layer)],
        method="dissect",
        needs=Capability.MAPS,
        instead="use clip_dissect, which needs one number a unit",
    )
    found = find_layer(subject.info, Unit(layer))
    shown = subject.stimuli(stimuli)
    known = _checked_masks(masks, shown, concepts)
    maps = maps_of(subject, found, shown)
    flat = maps.transpose(1, 0, 2, 3).reshape(found.units, -1)
    thresholds = np.quantile(flat, 1 - quantile, axis=1)
    return Dissection(
        method="dissect",
        subject=layer,
        model=subject.name,
        parameters={"stimuli": len(shown), "quantile": quantile, "map": maps.shape[2:]},
        spent=subject.spent,
        concepts=tuple(concepts),
        iou=_overlaps(maps, thresholds, known),
        thresholds=thresholds,
        least_iou=least_iou,
    )


def maps_of(subject: Subject, layer: LayerInfo, stimuli: torch.Tensor) -> NDArray[np.float32]:
    """(N, U, height, width) the maps of all units of a layer.

    Raises:
        InvalidSpec: for a layer without height and width, or with too many positions for an oracle
            that gives no whole maps.
    """
    cells = map_cells(layer, 2**31)
    if cells is None:
        raise InvalidSpec(
            f"layer {layer.name!r} has no height and width; name a convolution or a block",
            field="layer",
        )
    height, width = cells
    if isinstance(subject.oracle, ReadsMaps):
        values = _whole_maps(subject, subject.oracle, layer.name, max(cells), stimuli)
        return values.reshape(len(stimuli), layer.units, height, width)
    places = [(u, r, c) for u in range(layer.units) for r in range(height) for c in range(width)]
    if len(places) > MOST_POSITIONS:
        raise InvalidSpec(
            f"layer {layer.name!r} has {len(places):,} positions, and this {subject.info.kind} "
            f"oracle is read position by position, at most {MOST_POSITIONS:,}; name a "
            "smaller layer",
            field="layer",
        )
    units = [Unit(layer.name, u, (r, c)) for u, r, c in places]
    other = Subject(subject.oracle, units, method=subject.method)
    values = other.measure(stimuli).astype(np.float32)
    subject.spent += other.spent
    return values.reshape(len(stimuli), layer.units, height, width)


def _whole_maps(
    subject: Subject, oracle: ReadsMaps, layer: str, side: int, stimuli: torch.Tensor
) -> NDArray[np.float32]:
    def ask(rows: torch.Tensor) -> torch.Tensor:
        count(Accounting(calls=1, rows=len(rows)))
        return oracle.maps(rows, [layer], side)

    size = fixed_batch_size(max(len(stimuli), 1), subject.info.batch_size)
    with torch.no_grad(), subject.billed():
        values = in_fixed_batches(ask, stimuli, size)
    return subject.finite(values.cpu().numpy().astype(np.float32))


def _checked_masks(masks: Any, stimuli: torch.Tensor, concepts: Sequence[str]) -> NDArray[np.bool_]:
    found = np.asarray(masks)
    expected = (len(stimuli), len(concepts), *stimuli.shape[2:])
    if found.shape != expected:
        raise ShapeMismatch(
            f"masks: expected shape {expected}, one mask of the stimulus's height and width for "
            f"each of {len(stimuli):,} stimuli and {len(concepts)} concepts, got {found.shape}",
            field="masks",
        )
    known = found > 0
    for name, times in zip(concepts, known.any((2, 3)).sum(0), strict=True):
        if times < 2:
            raise InvalidSpec(
                f"concept {name!r} is in {int(times)} stimulus of the probe set; expected two or "
                "more, as one example tells no concept from a picture",
                field="concepts",
            )
    return known


def _overlaps(
    maps: NDArray[np.float32], thresholds: FloatArray, masks: NDArray[np.bool_]
) -> FloatArray:
    """(U, C) intersections over unions over the whole probe set."""
    units, concepts = maps.shape[1], masks.shape[1]
    both, on = np.zeros((units, concepts)), np.zeros(units)
    levels = torch.from_numpy(thresholds).float()[None, :, None, None]
    for start in range(0, len(maps), BLOCK):
        part = torch.from_numpy(maps[start : start + BLOCK])
        large = functional.interpolate(part, masks.shape[2:], mode="bilinear", align_corners=False)
        active = (large > levels).float().flatten(2)
        known = torch.from_numpy(masks[start : start + BLOCK]).float().flatten(2)
        both += torch.einsum("nup,ncp->uc", active, known).double().numpy()
        on += active.sum((0, 2)).double().numpy()
    areas = masks.sum((0, 2, 3))
    union = on[:, None] + areas[None] - both
    return np.asarray(both / np.maximum(union, 1))
