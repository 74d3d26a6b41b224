"""What a classifier loses when a unit is silenced.

Bau et al., "Understanding the role of individual units in a deep neural network", PNAS 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from blackbox_am.analysis.classes import true_classes
from blackbox_am.analysis.figures import bars_figure
from blackbox_am.analysis.results import Analysis, Arrays, Drawn, TableOfNumbers
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.batches import fixed_batch_size, in_fixed_batches
from blackbox_am.core.capability import Capability
from blackbox_am.core.metering import count
from blackbox_am.core.oracle import Intervenes, Oracle, check_units
from blackbox_am.core.types import Accounting, FloatArray, OracleInfo
from blackbox_am.core.units import Unit, find_layer
from blackbox_am.errors import CapabilityMissing, InvalidSpec

INSTEAD = "use dissect or clip_dissect, which say what a unit responds to"


@dataclass(frozen=True, kw_only=True)
class Ablation(Analysis):
    """Accuracy of a classifier without each of U units.

    Attributes:
        units: addresses.
        classes: names of the C classes.
        whole: (C,) accuracy of each class with all units; nan for a class without a stimulus.
        without: (U, C) the same with one unit silenced.
    """

    units: tuple[str, ...]
    classes: tuple[str, ...]
    whole: FloatArray
    without: FloatArray

    @property
    def drops(self) -> FloatArray:
        """(U, C) how far the accuracy of each class falls."""
        return np.asarray(self.whole - self.without)

    def data(self) -> Arrays:
        return {
            "units": np.array(self.units),
            "classes": np.array(self.classes),
            "whole": self.whole,
            "without": self.without,
        }

    def plot(self) -> Figure:
        largest = np.nanmax(self.drops, axis=1)
        order = np.argsort(-largest, kind="stable")
        return bars_figure(
            [self.units[place] for place in order],
            [("largest drop", largest[order], None)],
            y_label="largest fall of a class's accuracy",
        )

    def figures(self) -> list[Drawn]:
        return [Drawn(self.plot(), "The class that suffers most, for each silenced unit.")]

    def lead(self) -> list[str]:
        unit, kind = np.unravel_index(int(np.nanargmax(self.drops)), self.drops.shape)
        return [
            (
                f"With all units, {np.nanmean(self.whole):.1%} of the classes' stimuli are right. "
                f"Without {self.units[unit]} the accuracy of {self.classes[kind]} falls by "
                f"{self.drops[unit, kind]:.1%}, the largest fall."
            )
        ]

    def tables(self) -> list[TableOfNumbers]:
        rows = []
        for unit, drops in zip(self.units, self.drops, strict=True):
            kind = int(np.nanargmax(drops))
            rows.append(
                (unit, self.classes[kind], f"{drops[kind]:.1%}", f"{np.nanmean(drops):.1%}")
            )
        head = ("silenced unit", "class that loses most", "its fall", "mean fall")
        return [TableOfNumbers("Units", head, rows)]


def ablate(
    oracle: Oracle,
    units: Sequence[str | Unit],
    stimuli: Any,
    classes: Any,
    *,
    layer: str,
) -> Ablation:
    """Silence each unit alone and measure the accuracy of each class.

    Args:
        oracle: an oracle with interventions.
        units: the units to silence, before `layer`.
        stimuli: (N, *stimulus).
        classes: (N,) true classes, units of `layer`.
        layer: the layer of class scores.

    Raises:
        CapabilityMissing: for an oracle without interventions, or a layer that cannot be silenced.
        InvalidSpec: for classes that do not fit, no unit, or a unit behind `layer`.
        UnknownUnit, OracleFailed: see `Subject`.
    """
    subject = Subject.of_layer(
        oracle, layer, method="ablate", needs=Capability.INTERVENTION, instead=INSTEAD
    )
    info = subject.info
    scores = find_layer(info, Unit(layer))
    if not isinstance(oracle, Intervenes):
        raise CapabilityMissing(f"ablate: this {info.kind} oracle cannot silence units; {INSTEAD}")
    silenced = [Unit.parse(one) if isinstance(one, str) else one for one in units]
    check_units(info, silenced)
    _check_before(info, silenced, layer)
    shown = subject.stimuli(stimuli)
    truth = true_classes(classes, len(shown), scores.units, "classes")
    whole = _accuracies(subject.measure(shown), truth, scores.units)
    without = np.stack(
        [
            _accuracies(_silenced(subject, oracle, shown, one), truth, scores.units)
            for one in silenced
        ]
    )
    return Ablation(
        method="ablate",
        subject=", ".join(dict.fromkeys(one.layer for one in silenced)),
        model=subject.name,
        parameters={"stimuli": len(shown), "classes in": layer},
        spent=subject.spent,
        units=tuple(map(str, silenced)),
        classes=scores.labels or tuple(f"class {i}" for i in range(scores.units)),
        whole=whole,
        without=without,
    )


def _check_before(info: OracleInfo, silenced: Sequence[Unit], layer: str) -> None:
    """Check that there are units to silence, in layers that do not run after `layer`."""
    if not silenced:
        raise InvalidSpec(
            "ablate needs a unit to silence, such as 'layer3:5', got none", field="units"
        )
    order = [one.name for one in info.layers]
    late = [one for one in silenced if order.index(one.layer) > order.index(layer)]
    if late:
        raise InvalidSpec(
            f"unit {str(late[0])!r}: its layer runs after {layer!r}, so without the unit the "
            "scores are the same; name units of layers before it, or a later layer of scores",
            field="units",
        )


def _silenced(
    subject: Subject, oracle: Intervenes, stimuli: torch.Tensor, unit: Unit
) -> FloatArray:
    def ask(rows: torch.Tensor) -> torch.Tensor:
        count(Accounting(calls=1, rows=len(rows)))
        return oracle.observe_silenced(rows, subject.units, [unit])

    size = fixed_batch_size(max(len(stimuli), 1), subject.info.batch_size)
    with torch.no_grad(), subject.billed():
        values = in_fixed_batches(ask, stimuli, size)
    return subject.finite(values.double().cpu().numpy())


def _accuracies(scores: FloatArray, truth: Any, classes: int) -> FloatArray:
    right = scores.argmax(1) == truth
    return np.array(
        [right[truth == c].mean() if (truth == c).any() else np.nan for c in range(classes)]
    )
