"""Agreement of attribution maps, and their test by deletion and insertion.

Petsiuk, Das, Saenko, "RISE", BMVC 2018, section 4: deletion hides the most important places first,
insertion shows them first; the score is the area under the curve of the activation. Difference: the
control. Random maps of the same stimulus say what area a map without knowledge has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

from blackbox_am.analysis.attribution.map import AttributionMap
from blackbox_am.analysis.attribution.template import OF_NO_UNIT
from blackbox_am.analysis.figures import curves_figure, maps_figure
from blackbox_am.analysis.fills import filled
from blackbox_am.analysis.results import Analysis, Arrays, Drawn, TableOfNumbers
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.parameters import check
from blackbox_am.core.rng import position_seed
from blackbox_am.core.types import FloatArray
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, ShapeMismatch


@dataclass(frozen=True, kw_only=True)
class MapComparison(Analysis):
    """How far M maps of one stimulus agree, and what deletion and insertion say of each.

    Attributes:
        maps: the maps.
        spearman: (M, M) rank correlations over the places.
        overlap: (M, M) intersection over union of the most important places.
        fractions: (S,) part of the places that is hidden or shown.
        deletion, insertion: (M, S) activations.
        deletion_area, insertion_area: (M,) mean of the activation over the fractions, where 1 is
            the whole stimulus and 0 the hidden one.
        random_deletion, random_insertion: (R,) the same of random maps.
        deletion_p, insertion_p: (M,) part of random maps that do as well, (1 + count) / (1 + R).
    """

    maps: tuple[AttributionMap, ...]
    spearman: FloatArray
    overlap: FloatArray
    fractions: FloatArray
    deletion: FloatArray
    insertion: FloatArray
    deletion_area: FloatArray
    insertion_area: FloatArray
    random_deletion: FloatArray
    random_insertion: FloatArray
    deletion_p: FloatArray
    insertion_p: FloatArray

    @property
    def names(self) -> list[str]:
        """The method of each map."""
        return [one.method for one in self.maps]

    def data(self) -> Arrays:
        names = (
            "spearman", "overlap", "fractions", "deletion", "insertion", "deletion_area",
            "insertion_area", "random_deletion", "random_insertion", "deletion_p", "insertion_p",
        )  # fmt: skip
        found: Arrays = {name: getattr(self, name) for name in names}
        return {
            **found,
            "methods": np.array(self.names),
            "maps": np.stack([one.values for one in self.maps]),
        }

    def plot(self) -> Figure:
        maps = [(one.method, one.values) for one in self.maps]
        return maps_figure(self.maps[0].stimulus, maps)

    def figures(self) -> list[Drawn]:
        drawn = [Drawn(self.plot(), "The stimulus and the maps, each on a scale of its own.")]
        for what, curves, text in (
            ("hidden", self.deletion, "Deletion: a curve that falls early is better."),
            ("shown", self.insertion, "Insertion: a curve that rises early is better."),
        ):
            figure = curves_figure(
                list(zip(self.names, curves, strict=True)),
                self.fractions,
                x_label=f"part of the places that is {what}",
                y_label="activation",
            )
            drawn.append(Drawn(figure, text))
        return drawn

    def lead(self) -> list[str]:
        if self.deletion[0, 0] <= self.deletion[0, -1]:
            return ["The whole stimulus does not excite the unit more than the hidden one."]
        best = int(self.deletion_area.argmin())
        return [
            (
                f"By deletion, {self.names[best]} is the best of {len(self.maps)} maps, with area "
                f"{self.deletion_area[best]:.3f}; random maps have "
                f"{self.random_deletion.mean():.3f} on average (p = {self.deletion_p[best]:.3g})."
            ),
            (
                "Deletion and insertion show stimuli that the model was not made for: they rank "
                "maps for this model and this fill, and do not prove them."
            ),
        ]

    def tables(self) -> list[TableOfNumbers]:
        each = [
            (name, *numbers)
            for name, *numbers in zip(
                self.names, self.deletion_area, self.deletion_p,
                self.insertion_area, self.insertion_p, strict=True,
            )
        ]  # fmt: skip
        each.append(
            ("random maps", self.random_deletion.mean(), "", self.random_insertion.mean(), "")
        )
        areas = TableOfNumbers(
            "Deletion and insertion",
            ("method", "deletion area", "p", "insertion area", "p"),
            each,
            "Area under the activation, 1 for the whole and 0 for the hidden stimulus. Deletion: "
            "smaller is better; insertion: larger is better. p: part of the random maps that do as "
            "well.",
        )
        return [
            areas,
            self._pairs("Rank correlation (Spearman)", self.spearman),
            self._pairs("Overlap of the most important places (IoU)", self.overlap),
        ]

    def _pairs(self, title: str, values: FloatArray) -> TableOfNumbers:
        rows = [
            (name, *(f"{x:.2f}" for x in row)) for name, row in zip(self.names, values, strict=True)
        ]
        return TableOfNumbers(title, ("method", *self.names), rows)


def compare_maps(
    oracle: Oracle,
    unit: str | Unit,
    maps: Sequence[AttributionMap],
    *,
    top: float = 0.1,
    steps: int = 10,
    controls: int = 100,
    fill: Any = "mean",
    seed: int = 0,
) -> MapComparison:
    """Compare maps of one stimulus.

    Args:
        oracle: any oracle.
        unit: the unit that the maps are of.
        maps: two maps or more of the same stimulus.
        top: part of the places that counts as most important for the overlap.
        steps: points of the curves besides 0; (maps + controls) * steps * 2 queries at most.
        controls: number of smooth random maps.
        fill: what stands in hidden places, see `fills.filled`.
        seed: of the random maps.

    Raises:
        InvalidSpec: for fewer than two maps, maps of another unit, or numbers out of range.
        ShapeMismatch: if the maps are of different stimuli.
        UnknownUnit, OracleFailed: see `Subject`.
    """
    check(0 < top < 1, "top", "a number between 0 and 1", top)
    check(steps >= 2, "steps", "2 or more", steps)
    check(controls >= 1, "controls", "1 or more", controls)
    subject = Subject(oracle, [unit], method="compare_maps")
    shown = _common(subject, maps)
    values = np.stack([one.values for one in maps])
    random = _random_maps(values.shape[1:], controls, seed)
    everything = np.concatenate([values, random])
    fractions = np.linspace(0, 1, steps + 1)
    hidden = filled(shown, fill)
    deletion, insertion = (
        _curves(subject, *pair, everything, fractions)
        for pair in ((shown, hidden), (hidden, shown))
    )
    whole, nothing = deletion[0, 0], deletion[0, -1]
    areas = [_areas(curve, whole, nothing) for curve in (deletion, insertion)]
    count = len(maps)
    p = [
        _share(areas[0][:count], areas[0][count:]),
        _share(-areas[1][:count], -areas[1][count:]),
    ]
    notes = () if whole > nothing else (
        ("The hidden stimulus has at least the activation of the whole one: deletion and insertion "
        "say nothing here. Give another fill."),
    )  # fmt: skip
    return MapComparison(
        method="compare_maps",
        subject=str(subject.units[0]),
        model=subject.name,
        parameters={"top": top, "steps": steps, "controls": controls, "seed": seed},
        spent=subject.spent,
        notes=notes,
        maps=tuple(maps),
        spearman=_correlations(values),
        overlap=_overlaps(values, top),
        fractions=fractions,
        deletion=deletion[:count],
        insertion=insertion[:count],
        deletion_area=areas[0][:count],
        insertion_area=areas[1][:count],
        random_deletion=areas[0][count:],
        random_insertion=areas[1][count:],
        deletion_p=p[0],
        insertion_p=p[1],
    )


def _common(subject: Subject, maps: Sequence[AttributionMap]) -> torch.Tensor:
    """The stimulus of all maps."""
    if len(maps) < 2:
        raise InvalidSpec(f"compare_maps: expected two maps or more, got {len(maps)}", field="maps")
    first = maps[0]
    for one in maps[1:]:
        if one.values.shape != first.values.shape or not np.array_equal(
            one.stimulus, first.stimulus
        ):
            raise ShapeMismatch(
                f"compare_maps: {one.method} and {first.method} are maps of different stimuli; "
                "make all of them of one stimulus",
                field="maps",
            )
    for one in maps:
        if one.subject not in (OF_NO_UNIT, str(subject.units[0])):
            raise InvalidSpec(
                f"compare_maps: expected maps of {subject.units[0]}, got the {one.method} map of "
                f"{one.subject}",
                field="maps",
            )
    return subject.stimulus(first.stimulus)


def _random_maps(places: tuple[int, ...], count: int, seed: int) -> FloatArray:
    """(count, *places) noise, as smooth as maps of small windows."""
    noise = np.random.default_rng(position_seed(seed, "random maps", 0, 0))
    drawn = noise.standard_normal((count, *places))
    width = max(places) / 16
    return np.asarray(gaussian_filter(drawn, (0, *(width for _ in places))))


def _curves(
    subject: Subject,
    start: torch.Tensor,
    end: torch.Tensor,
    maps: FloatArray,
    fractions: FloatArray,
) -> FloatArray:
    """(M, S) activations, while the most important places of each map go from `start` to `end`.

    The first and the last point are the same for every map and measured once.
    """
    places = maps.shape[1:]
    flat = maps.reshape(len(maps), -1)
    ranks = np.empty_like(flat)
    order = np.argsort(-flat, axis=1, kind="stable")
    np.put_along_axis(ranks, order, np.arange(flat.shape[1], dtype=np.float64)[None], axis=1)
    inner = fractions[1:-1]
    changed = np.concatenate([flat[:1] * 0, flat[:1] * 0 + 1])
    steps = (ranks[:, None] < (inner * flat.shape[1]).round()[None, :, None]).reshape(
        -1, flat.shape[1]
    )
    masks = np.concatenate([changed > 0, steps])

    def make(first: int, last: int) -> torch.Tensor:
        extra = (1,) * (start.ndim - len(places))
        chosen = torch.from_numpy(masks[first:last]).reshape(last - first, *extra, *places)
        return torch.where(chosen, end, start)

    scores = subject.measure_made(len(masks), make)[:, 0]
    found = np.empty((len(maps), len(fractions)))
    found[:, 0], found[:, -1] = scores[0], scores[1]
    found[:, 1:-1] = scores[2:].reshape(len(maps), len(inner))
    return found


def _areas(curves: FloatArray, whole: float, nothing: float) -> FloatArray:
    span = whole - nothing
    scaled = (curves - nothing) / (span if abs(span) > 1e-12 else 1.0)
    return np.asarray((scaled[:, 1:] + scaled[:, :-1]).mean(1) / 2)


def _share(values: FloatArray, random: FloatArray) -> FloatArray:
    as_good = (random[None] <= values[:, None]).sum(1)
    return np.asarray((1 + as_good) / (1 + len(random)))


def _correlations(values: FloatArray) -> FloatArray:
    flat = values.reshape(len(values), -1)
    found = np.eye(len(flat))
    for i in range(len(flat)):
        for j in range(i):
            constant = np.ptp(flat[i]) == 0 or np.ptp(flat[j]) == 0
            found[i, j] = found[j, i] = np.nan if constant else spearmanr(flat[i], flat[j])[0]
    return found


def _overlaps(values: FloatArray, top: float) -> FloatArray:
    flat = values.reshape(len(values), -1)
    most = max(1, round(top * flat.shape[1]))
    chosen = np.zeros(flat.shape, bool)
    np.put_along_axis(chosen, np.argsort(-flat, axis=1, kind="stable")[:, :most], True, axis=1)
    both = (chosen[:, None] & chosen[None]).sum(-1)
    return np.asarray(both / (chosen[:, None] | chosen[None]).sum(-1))
