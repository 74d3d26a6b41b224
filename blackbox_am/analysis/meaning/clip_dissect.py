"""CLIP-Dissect: label units with texts, by embeddings of a probe set's images and of the texts.

Oikarinen, Weng, "CLIP-Dissect", ICLR 2023. The embeddings are given as arrays, so any model of
images and texts will do. The similarities are the paper's: `soft_wpmi` (its choice, a = 10,
top 100 images, probabilities from 0.998 to 0.97, lambda = 1), `wpmi` (a = 2, top 28, lambda = 0.6),
`cos_cubed`, and `rank_reorder` (p = 3). Differences in `rank_reorder`: the baseline is the exact
expectation over random orders, where the authors' code draws five; and the number of images is
given, where they take the top 5 %.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.special import logsumexp, softmax

from blackbox_am.analysis.figures import bars_figure
from blackbox_am.analysis.results import Analysis, Arrays, Drawn, TableOfNumbers
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.parameters import check
from blackbox_am.core.types import FloatArray
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, ShapeMismatch, did_you_mean

TINY = 1e-7


@dataclass(frozen=True, kw_only=True)
class ConceptScores(Analysis):
    """Scores of C concepts for U units.

    Attributes:
        units: addresses.
        concepts: texts.
        scores: (U, C), larger fits better; comparable between concepts of one unit.
    """

    units: tuple[str, ...]
    concepts: tuple[str, ...]
    scores: FloatArray

    @property
    def labels(self) -> tuple[str, ...]:
        """The best concept of each unit."""
        return tuple(self.concepts[place] for place in self.scores.argmax(1))

    def data(self) -> Arrays:
        return {
            "units": np.array(self.units),
            "concepts": np.array(self.concepts),
            "scores": self.scores,
        }

    def plot(self) -> Figure:
        ordered = np.sort(self.scores, axis=1)
        margin = ordered[:, -1] - ordered[:, -2]
        names = [f"{u}: {c}" for u, c in zip(self.units, self.labels, strict=True)]
        order = np.argsort(-margin, kind="stable")
        return bars_figure(
            [names[place] for place in order],
            [("margin", margin[order], None)],
            y_label="score of the label minus that of the second concept",
        )

    def figures(self) -> list[Drawn]:
        text = "Units by the margin of their label. A small margin is no label to rely on."
        return [Drawn(self.plot(), text)]

    def lead(self) -> list[str]:
        first = ", ".join(f"{u} {c}" for u, c in zip(self.units[:5], self.labels, strict=False))
        return [
            f"{len(self.units)} units got one of {len(self.concepts)} concepts: {first}"
            + (", ..." if len(self.units) > 5 else ".")
        ]

    def tables(self) -> list[TableOfNumbers]:
        order = np.argsort(-self.scores, axis=1)[:, :3]
        rows = []
        for unit, places, scores in zip(self.units, order, self.scores, strict=True):
            found = [f"{self.concepts[c]} ({scores[c]:.3g})" for c in places]
            rows.append((unit, *found, *("",) * (3 - len(found))))
        return [TableOfNumbers("Units", ("unit", "first", "second", "third"), rows)]


def clip_dissect(
    oracle: Oracle,
    units: Sequence[str | Unit],
    stimuli: Any,
    images: Any,
    texts: Any,
    concepts: Sequence[str],
    *,
    similarity: str = "soft_wpmi",
    top: int = 100,
) -> ConceptScores:
    """Label units with concepts from embeddings.

    Args:
        oracle: any oracle.
        units: two units or more, whose other members say which concepts are common.
        stimuli: (N, *stimulus) the probe set.
        images: (N, d) embeddings of the probe set.
        texts: (C, d) embeddings of the concepts, two or more.
        concepts: C texts.
        similarity: `soft_wpmi`, `wpmi`, `cos_cubed` or `rank_reorder`.
        top: images that count, for `soft_wpmi`, `rank_reorder` and, up to 28, `wpmi`; at most N.

    Raises:
        ShapeMismatch: for embeddings of other numbers or widths.
        InvalidSpec: for one unit, one concept, another similarity, no stimulus, `top` below 1, or
            an embedding that is not finite.
        UnknownUnit, OracleFailed: see `Subject`.
    """
    subject = Subject(oracle, units, method="clip_dissect")
    shown = subject.stimuli(stimuli)
    if similarity not in SIMILARITIES:
        near = did_you_mean(similarity, SIMILARITIES)
        raise InvalidSpec(f"no similarity {similarity!r}{near}", field="similarity")
    if len(subject.units) < 2:
        raise InvalidSpec(
            "clip_dissect: expected two units or more, because a concept counts as far as it fits "
            "a unit better than the others; give all units of a layer",
            field="units",
        )
    check(top >= 1, "top", "1 or more", top)
    check(len(shown) >= 1, "stimuli", "one or more", "none")
    fits = _fits(images, texts, len(shown), len(concepts))
    scores = SIMILARITIES[similarity](fits, subject.measure(shown), min(top, len(shown)))
    return ConceptScores(
        method="clip_dissect",
        subject=", ".join(dict.fromkeys(unit.layer for unit in subject.units)),
        model=subject.name,
        parameters={"stimuli": len(shown), "similarity": similarity, "top": top},
        spent=subject.spent,
        units=tuple(map(str, subject.units)),
        concepts=tuple(concepts),
        scores=scores,
    )


def _fits(images: Any, texts: Any, rows: int, concepts: int) -> FloatArray:
    """(N, C) cosine similarities of images and texts."""
    found = []
    for field, given, count in (("images", images, rows), ("texts", texts, concepts)):
        array = np.asarray(given, np.float64)
        if array.ndim != 2 or len(array) != count:
            raise ShapeMismatch(
                f"{field}: expected {count:,} embeddings (rows, d), got shape {array.shape}",
                field=field,
            )
        check(bool(np.isfinite(array).all()), field, "finite numbers", "nan or infinity")
        found.append(array / np.maximum(np.linalg.norm(array, axis=1, keepdims=True), TINY))
    if found[0].shape[1] != found[1].shape[1]:
        raise ShapeMismatch(
            f"texts: expected embeddings of the width of the images, {found[0].shape[1]}, got "
            f"{found[1].shape[1]}",
            field="texts",
        )
    if concepts < 2:
        raise InvalidSpec("concepts: expected two or more, got one", field="concepts")
    return np.asarray(found[0] @ found[1].T)


def _top(activations: FloatArray, count: int) -> Any:
    """(U, count) the images of the largest activation of each unit, the largest first."""
    return np.argsort(-activations, axis=0, kind="stable")[:count].T


def _information(given: FloatArray, weight: float) -> FloatArray:
    """Log p(images | concept) less the weighted log of its mean over units."""
    common = logsumexp(given, axis=0, keepdims=True) - np.log(len(given))
    return np.asarray(given - weight * common)


def soft_wpmi(fits: FloatArray, activations: FloatArray, top: int) -> FloatArray:
    """(U, C) the paper's soft weighted pointwise mutual information."""
    probabilities = softmax(10 * fits, axis=1)
    included = 0.998 - np.arange(top) / top * (0.998 - 0.97)
    chosen = probabilities[_top(activations, top)]
    inside = np.log(1 + included[None, :, None] * (chosen - 1) + TINY)
    return _information(inside.sum(1), 1.0)


def wpmi(fits: FloatArray, activations: FloatArray, top: int) -> FloatArray:
    """(U, C) the paper's weighted pointwise mutual information, over 28 images at most."""
    probabilities = softmax(2 * fits, axis=1)
    chosen = probabilities[_top(activations, min(top, 28))]
    return _information(np.log(chosen + TINY).sum(1), 0.6)


def cos_cubed(fits: FloatArray, activations: FloatArray, top: int) -> FloatArray:  # noqa: ARG001
    """(U, C) cosines of the third powers of activations and fits, both without their means."""
    unit = _cubed(activations)
    return np.asarray(unit.T @ _cubed(fits))


def _cubed(values: FloatArray) -> FloatArray:
    centred = values - values.mean(0)
    cubes = (centred / np.maximum(centred.std(0), TINY)) ** 3
    return np.asarray(cubes / np.maximum(np.linalg.norm(cubes, axis=0), TINY))


def rank_reorder(fits: FloatArray, activations: FloatArray, top: int) -> FloatArray:
    """(U, C) minus the error of the top activations put into the order of a concept's fits, over
    the expected error of a random order and the root of the mean fit.
    """
    chosen = _top(activations, top)
    found = np.empty((len(chosen), fits.shape[1]))
    for unit, rows in enumerate(chosen):
        values = activations[rows, unit]
        random = (np.abs(values[:, None] - values[None]) ** 3).mean()
        ranks = np.argsort(np.argsort(-fits[rows], axis=0, kind="stable"), axis=0, kind="stable")
        error = (np.abs(values[:, None] - values[ranks]) ** 3).mean(0)
        # A concept that fits none of the images gets a large error, where the authors' root of a
        # negative mean would be nan.
        fit = np.maximum(fits[rows].mean(0), TINY)
        found[unit] = -error / (random or 1.0) / np.sqrt(fit)
    return found


Similarity = Callable[[FloatArray, FloatArray, int], FloatArray]
SIMILARITIES: dict[str, Similarity] = {
    "soft_wpmi": soft_wpmi,
    "wpmi": wpmi,
    "cos_cubed": cos_cubed,
    "rank_reorder": rank_reorder,
}
"""From fits (N, C), activations (N, U) and the number of top images to scores (U, C)."""
