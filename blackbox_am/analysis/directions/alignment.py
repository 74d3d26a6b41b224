"""Whether a probe's direction means its concept.

A probe can be right because of an attribute that goes together with the concept. Four tests, none
of which replaces the others:

* hard accuracy: on stimuli where the concept and what goes with it disagree, given or chosen as the
  negatives that another probe takes for the concept most;
* the false-positive probe: trained without any example of the concept, on negatives that the probe
  takes for it. If it is as accurate and points the same way, the direction is not the concept's.
  Its direction is projected out (the "cure"), and both accuracies are measured again;
* the segmentation score: whether the map of the direction is high inside the concept's mask;
* accuracy under shifts, flips and scales, which do not change the concept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch.nn import functional

from blackbox_am.analysis.directions.linear import (
    Separation,
    along,
    check_examples,
    cosine,
    halves,
    separated,
)
from blackbox_am.analysis.directions.probe import subject_of
from blackbox_am.analysis.figures import bars_figure
from blackbox_am.analysis.meaning.dissection import maps_of
from blackbox_am.analysis.results import Analysis, Arrays, Drawn, TableOfNumbers
from blackbox_am.analysis.subject import Subject, check_capability
from blackbox_am.core.capability import Capability
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.rng import position_seed
from blackbox_am.core.types import FloatArray
from blackbox_am.core.units import Unit, find_layer
from blackbox_am.errors import InvalidSpec, ShapeMismatch

WARNING = "Accuracy does not establish alignment."
HELD_OUT = 1 / 3
HARDEST = 0.1
"""Part of the held-out negatives that are hard, where none are given."""


@dataclass(frozen=True, kw_only=True)
class Alignment(Analysis):
    """Tests of a direction. Accuracies are means over both kinds; 0.5 is chance.

    Attributes:
        direction: (U,) of the probe, of length 1.
        plain: accuracy on held-out examples.
        hard: accuracy on stimuli where the concept and what goes with it disagree.
        chosen: whether these were chosen (by another probe) and not given.
        false_positive: accuracy of the false-positive probe on the held-out examples.
        cosine: of both directions.
        cured_plain, cured_hard: accuracies after the false-positive direction is projected out.
        segmentation: area under the ROC curve of the direction's map for the concept's mask; None
            without masks.
        augmented: accuracy by the name of the change; empty for stimuli that are no images.
    """

    direction: FloatArray
    plain: float
    hard: float
    chosen: bool
    false_positive: float
    cosine: float
    cured_plain: float
    cured_hard: float
    segmentation: float | None = None
    augmented: dict[str, float]

    def data(self) -> Arrays:
        names = ("plain", "hard", "false_positive", "cosine", "cured_plain", "cured_hard")
        found: Arrays = {name: np.array(getattr(self, name)) for name in names}
        if self.segmentation is not None:
            found["segmentation"] = np.array(self.segmentation)
        found["augmented"] = np.array(list(self.augmented.values()))
        return {**found, "direction": self.direction}

    def plot(self) -> Figure:
        rows = self._rows()
        values = np.array([value for _, value in rows])
        figure = bars_figure(
            [name for name, _ in rows], [("", values, None)], y_label="accuracy; 0.5 is chance"
        )
        figure.axes[0].axvline(0.5, color="black", linewidth=0.8)
        return figure

    def figures(self) -> list[Drawn]:
        return [Drawn(self.plot(), "Accuracies of the probe, of its control, and of the cure.")]

    def lead(self) -> list[str]:
        return [
            (
                f"The probe is right for {self.plain:.1%} of held-out examples, and for "
                f"{self.hard:.1%} of hard ones. {WARNING}"
            ),
            (
                f"A probe that saw no example of the concept is right for "
                f"{self.false_positive:.1%}, with a cosine of {self.cosine:.2f} to it."
            ),
            (
                f"With that direction projected out, the accuracy is {self.cured_plain:.1%} on "
                f"held-out examples and {self.cured_hard:.1%} on hard ones. Read both together."
            ),
        ]

    def tables(self) -> list[TableOfNumbers]:
        rows: list[tuple[object, ...]] = list(self._rows())
        if self.segmentation is not None:
            rows.append(("segmentation, area under the ROC curve", self.segmentation))
        rows.append(("cosine of the probe and the false-positive probe", self.cosine))
        hard = "chosen by another probe" if self.chosen else "given"
        note = f"Hard examples were {hard}. {WARNING}"
        return [TableOfNumbers("Tests", ("test", "value"), rows, note)]

    def _rows(self) -> list[tuple[str, float]]:
        return [
            ("plain, held out", self.plain),
            ("hard", self.hard),
            ("false-positive probe, held out", self.false_positive),
            ("after the cure, held out", self.cured_plain),
            ("after the cure, hard", self.cured_hard),
            *self.augmented.items(),
        ]


def alignment(
    oracle: Oracle,
    layer: str,
    positive: Any,
    negative: Any,
    *,
    hard_positive: Any = None,
    hard_negative: Any = None,
    masks: Any = None,
    augment: bool = True,
    seed: int = 0,
) -> Alignment:
    """Test the direction that separates `positive` from `negative`.

    Args:
        oracle: any oracle; with maps for the segmentation score.
        layer: the layer.
        positive, negative: (P or M, *stimulus) examples with and without the concept.
        hard_positive, hard_negative: stimuli with the concept but without what goes with it, and
            the other way round. Without them, the hard negatives are chosen, with all held-out
            positives beside them.
        masks: (P, height, width) where the concept is in each positive example.
        augment: whether to measure images again shifted, flipped and scaled.
        seed: of the split.

    Raises:
        InvalidSpec: for fewer than 4 examples of a kind, or hard examples of one kind only.
        CapabilityMissing: for masks and an oracle without maps.
        ShapeMismatch: for masks of another size.
        MissingExtra: without scikit-learn.
    """
    if (hard_positive is None) != (hard_negative is None):
        raise InvalidSpec(
            "alignment: expected hard examples of both kinds, hard_positive and hard_negative, or "
            "of none",
            field="hard_positive" if hard_positive is None else "hard_negative",
        )
    subject = subject_of(oracle, layer, "alignment")
    if masks is not None:
        check_capability(
            subject.info, Capability.MAPS, "the segmentation score", "leave the masks out"
        )
    stimuli = [subject.stimuli(one) for one in (positive, negative)]
    for name, one in zip(("positive", "negative"), stimuli, strict=True):
        check_examples(name, one.numpy())
    values = [subject.measure(one) for one in stimuli]
    random = np.random.default_rng(position_seed(seed, "alignment", 0, 0))
    parts = [halves(len(one), HELD_OUT, random) for one in values]
    fit = [one[part[0]] for one, part in zip(values, parts, strict=True)]
    test = [one[part[1]] for one, part in zip(values, parts, strict=True)]
    found = separated(fit[0], fit[1])
    control = _false_positive(found, fit[1])
    given = hard_positive is not None
    if given:
        hard = [subject.measure(subject.stimuli(one)) for one in (hard_positive, hard_negative)]
    else:
        hard = [test[0], _hardest(fit, test[1])]
    product = float(found.direction @ control.direction)
    cured = along(found.direction - product * control.direction, fit[0], fit[1])
    held_out = [one[part[1]] for one, part in zip(stimuli, parts, strict=True)]
    return Alignment(
        method="alignment",
        subject=layer,
        model=subject.name,
        parameters={"positive": len(values[0]), "negative": len(values[1]), "seed": seed},
        direction=found.direction,
        plain=found.accuracy(test[0], test[1]),
        hard=found.accuracy(hard[0], hard[1]),
        chosen=not given,
        false_positive=control.accuracy(test[0], test[1]),
        cosine=cosine(found.direction, control.direction),
        cured_plain=cured.accuracy(test[0], test[1]),
        cured_hard=cured.accuracy(hard[0], hard[1]),
        segmentation=None
        if masks is None
        else _segmented(subject, layer, found, stimuli[0], masks),
        augmented=_augmented(subject, found, held_out) if augment else {},
        spent=subject.spent,
    )


def _false_positive(found: Separation, negative: FloatArray) -> Separation:
    """A probe of the negatives that `found` takes for the concept against the other negatives."""
    scores = found.scores(negative)
    taken = scores > 0
    least = max(2, round(HARDEST * len(scores)))
    if taken.sum() < least or (~taken).sum() < 2:
        taken = scores >= np.sort(scores)[-least]
    return separated(negative[taken], negative[~taken])


def _hardest(fit: list[FloatArray], negative: FloatArray) -> FloatArray:
    """The held-out negatives that a probe of another half takes for the concept most."""
    other = separated(fit[0][::2], fit[1][::2])
    most = max(1, round(HARDEST * len(negative)))
    return negative[np.argsort(-other.scores(negative))[:most]]


def _segmented(
    subject: Subject, layer: str, found: Separation, stimuli: torch.Tensor, masks: Any
) -> float:
    """The area under the ROC curve of the direction's map for the masks, over all positions."""
    known = np.asarray(masks) > 0
    expected = (len(stimuli), *stimuli.shape[2:])
    if known.shape != expected:
        raise ShapeMismatch(
            f"masks: expected shape {expected}, one mask for each positive example, got "
            f"{known.shape}",
            field="masks",
        )
    maps = maps_of(subject, find_layer(subject.info, Unit(layer)), stimuli)
    weighed = np.einsum("nuhw,u->nhw", maps, found.direction)
    large = functional.interpolate(
        torch.from_numpy(weighed)[:, None], known.shape[1:], mode="bilinear", align_corners=False
    )[:, 0].numpy()
    return _area(large.ravel(), known.ravel())


def _area(scores: FloatArray, inside: NDArray[np.bool_]) -> float:
    count = int(inside.sum())
    other = inside.size - count
    if not count or not other:
        return float("nan")
    ranks = rankdata(scores)
    return float((ranks[inside].sum() - count * (count + 1) / 2) / (count * other))


def _augmented(
    subject: Subject, found: Separation, stimuli: list[torch.Tensor]
) -> dict[str, float]:
    if len(subject.info.stimulus_shape) != 3:
        return {}
    side = max(1, subject.info.stimulus_shape[-1] // 8)
    changes = {
        f"shifted by {side}": lambda x: torch.roll(x, (side, side), (2, 3)),
        "flipped": lambda x: x.flip(3),
        "scaled by 0.75": _smaller,
    }
    return {
        name: found.accuracy(*(subject.measure(change(one)) for one in stimuli))
        for name, change in changes.items()
    }


def _smaller(stimuli: torch.Tensor) -> torch.Tensor:
    """The stimuli at three quarters of their size, with their edge repeated around them."""
    height, width = stimuli.shape[2:]
    inner = functional.interpolate(
        stimuli, (max(1, height * 3 // 4), max(1, width * 3 // 4)), mode="bilinear"
    )
    top, left = (height - inner.shape[2]) // 2, (width - inner.shape[3]) // 2
    around = (left, width - inner.shape[3] - left, top, height - inner.shape[2] - top)
    return functional.pad(inner, around, mode="replicate").clamp(0, 1)
