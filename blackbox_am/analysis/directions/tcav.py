"""TCAV: whether a class grows along the direction of a concept.

Kim et al., ICML 2018: the score is the part of a class's stimuli for which the derivative of the
class's activation along the concept's direction is positive. Differences: the test. The paper
compares the scores of several draws of negatives with those of random directions by a t-test; the
draws share their positive examples, so they are not independent. Here random sets of the same size
take the concept's place, each with as many draws, and p is the rank of the concept's mean score
among theirs, on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from blackbox_am.analysis.attribution.gradients import INSTEAD
from blackbox_am.analysis.attribution.modules import layer_of, module_of
from blackbox_am.analysis.directions.linear import check_examples
from blackbox_am.analysis.directions.probe import fitted, subject_of
from blackbox_am.analysis.figures import bars_figure
from blackbox_am.analysis.results import Analysis, Arrays, Drawn, TableOfNumbers
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.capability import Capability
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.parameters import check
from blackbox_am.core.rng import position_seed
from blackbox_am.core.types import Accounting, FloatArray, LayerInfo
from blackbox_am.core.units import Unit, find_layer
from blackbox_am.errors import InvalidSpec, Unsupported

HELD_OUT = 1 / 3
SIGNIFICANT = 0.05


@dataclass(frozen=True, kw_only=True)
class Tcav(Analysis):
    """How a class depends on a concept.

    Attributes:
        layer: the layer of the direction.
        scores: (R,) TCAV scores, one for each draw of negatives: the part of the class's stimuli
            whose derivative is positive.
        random_scores: (C,) mean scores of random sets in the concept's place.
        accuracies: (R,) of the concept's probes on held-out examples.
        p: two-sided: part of the random sets that are as far from their mean, (1 + n) / (1 + C).
    """

    layer: str
    scores: FloatArray
    random_scores: FloatArray
    accuracies: FloatArray
    p: float

    def data(self) -> Arrays:
        return {
            "scores": self.scores,
            "random_scores": self.random_scores,
            "accuracies": self.accuracies,
            "p": np.array(self.p),
        }

    def plot(self) -> Figure:
        values = np.array([self.scores.mean(), self.random_scores.mean()])
        spread = np.array([self.scores.std(), self.random_scores.std()])
        return bars_figure(
            ["concept", "random sets"],
            [("score", values, spread)],
            y_label="part of the class's stimuli with a positive derivative",
        )

    def figures(self) -> list[Drawn]:
        return [Drawn(self.plot(), "Mean scores; the lines are standard deviations.")]

    def lead(self) -> list[str]:
        low, high = np.quantile(self.random_scores, [0.025, 0.975])
        verdict = "significant" if self.p < SIGNIFICANT else "not significant"
        return [
            (
                f"Along the concept, the derivative of {self.subject} is positive for "
                f"{self.scores.mean():.0%} of the stimuli. Random sets give {low:.0%} to "
                f"{high:.0%} (95 % of {len(self.random_scores)}). The difference is {verdict}, "
                f"p = {self.p:.3g}."
            ),
            (
                f"The probes are right for {self.accuracies.mean():.1%} of held-out examples. A "
                "score speaks of the direction, not of the concept: see `alignment`."
            ),
        ]

    def tables(self) -> list[TableOfNumbers]:
        rows = [
            (f"draw {number + 1}", score, accuracy)
            for number, (score, accuracy) in enumerate(
                zip(self.scores, self.accuracies, strict=True)
            )
        ]
        return [TableOfNumbers("Draws", ("negatives", "TCAV score", "probe accuracy"), rows)]


def tcav(
    oracle: Oracle,
    unit: str | Unit,
    layer: str,
    stimuli: Any,
    positive: Any,
    random: Any,
    *,
    draws: int = 10,
    sets: int = 40,
    seed: int = 0,
) -> Tcav:
    """The TCAV score of a unit for a concept.

    Args:
        oracle: a `torch_module` oracle.
        unit: the class, such as `head:3`, behind the layer.
        layer: the layer of the direction. In a map all positions move along the direction.
        stimuli: (N, *stimulus) of the class.
        positive: (P, *stimulus) examples of the concept, 4 or more.
        random: (M, *stimulus) other stimuli, M at least 3 P: negatives and random sets.
        draws: of negatives.
        sets: random sets in the concept's place; 20 or more for p below 0.05.
        seed: of the draws.

    Raises:
        GradientUnavailable, CapabilityMissing: for an oracle without gradients or without a module.
        InvalidSpec: for too few examples.
        Unsupported: for a layer that is not before the unit, or no module's output.
    """
    check(draws >= 1, "draws", "1 or more", draws)
    check(sets >= 1, "sets", "1 or more", sets)
    target = Subject(
        oracle, [unit], method="tcav", needs=Capability.GRADIENTS,
        instead=f"use probe and alignment, which need activations only; {INSTEAD}",
    )  # fmt: skip
    network = module_of(target, "use probe and alignment, which need activations only")
    subject = subject_of(oracle, layer, "tcav")
    shown, good, pool = (subject.stimuli(one) for one in (stimuli, positive, random))
    check_examples("positive", good.numpy())
    if len(pool) < 3 * len(good):
        raise InvalidSpec(
            f"random: expected three times as many stimuli as the concept has examples, "
            f"{3 * len(good)} or more, got {len(pool)}",
            field="random",
        )
    found = find_layer(subject.info, Unit(layer))
    slopes = derivatives(target, layer_of(network, layer), found, shown)
    first, second = subject.measure(good), subject.measure(pool)
    directions, accuracies = fitted(first, second, draws, HELD_OUT, seed)
    scores = positive_part(slopes, directions)
    others = random_scores(slopes, second, len(good), draws, sets, seed)
    return Tcav(
        method="tcav",
        subject=str(target.units[0]),
        model=subject.name,
        parameters={"layer": layer, "examples": len(good), "random": len(pool), "sets": sets},
        spent=target.spent + subject.spent,
        layer=layer,
        scores=scores,
        random_scores=others,
        accuracies=accuracies,
        p=two_sided(float(scores.mean()), others),
    )


def positive_part(slopes: FloatArray, directions: FloatArray) -> FloatArray:
    """(R,) part of the stimuli whose derivative along each direction (R, U) is positive, from
    derivatives (N, U) along each unit.
    """
    return np.asarray((slopes @ directions.T > 0).mean(0))


def random_scores(
    slopes: FloatArray, pool: FloatArray, size: int, draws: int, sets: int, seed: int
) -> FloatArray:
    """(C,) mean scores of random sets of `size` rows of the pool (M, U) in the concept's place."""
    found = []
    for number in range(sets):
        order = np.random.default_rng(position_seed(seed, "random set", number, 0)).permutation(
            len(pool)
        )
        chosen, rest = pool[order[:size]], pool[order[size:]]
        own = position_seed(seed, "random draws", number, 0)
        directions, _ = fitted(chosen, rest, draws, HELD_OUT, own)
        found.append(positive_part(slopes, directions).mean())
    return np.array(found)


def two_sided(score: float, others: FloatArray) -> float:
    """The part of `others` that is as far from their mean as `score`, with itself counted."""
    middle = others.mean()
    as_far = np.abs(others - middle) >= abs(score - middle) - 1e-12
    return float((1 + as_far.sum()) / (1 + len(others)))


def derivatives(
    target: Subject, module: nn.Module, layer: LayerInfo, stimuli: torch.Tensor
) -> FloatArray:
    """(N, U) derivative of the target's activation along each unit, over all its positions."""
    axis = layer.axes.index("unit") + 1
    found = []
    for rows in torch.split(stimuli, target.info.batch_size):
        kept: list[torch.Tensor] = []

        def keep(module: nn.Module, args: Any, output: Any, kept: Any = kept) -> Any:  # noqa: ARG001
            kept.append(output)
            # The next layer may change its input in place, such as a ReLU; it gets a copy.
            return output.clone() if isinstance(output, torch.Tensor) else output

        handle = module.register_forward_hook(keep)
        try:
            with torch.enable_grad(), target.billed():
                total = target.ask(rows.clone().requires_grad_())[:, 0].sum()
                slope = _slope(total, kept, layer)
        finally:
            handle.remove()
        target.spent += Accounting(backward_rows=len(rows))
        moved = slope.movedim(axis, 1)
        found.append(moved.flatten(2).sum(2) if moved.ndim > 2 else moved)
    return torch.cat(found).double().cpu().numpy()


def _slope(total: torch.Tensor, kept: list[torch.Tensor], layer: LayerInfo) -> torch.Tensor:
    slope = None
    if len(kept) == 1 and isinstance(kept[0], torch.Tensor) and kept[0].requires_grad:
        (slope,) = torch.autograd.grad(total, kept[0], allow_unused=True)
    if slope is None or tuple(slope.shape[1:]) != layer.shape:
        raise Unsupported(
            f"tcav: the unit does not depend on layer {layer.name!r} by one tensor that is "
            "computed once; name a layer before the unit that runs once"
        )
    return slope
