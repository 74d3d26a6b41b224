"""The geometry of one layer: angles between class means, clusters of classes, and a map.

The cosine histogram responds to how many directions are packed into how many dimensions
(superposition). Silhouette, Davies-Bouldin and t-SNE describe how noisy the classes are: measured
on planted directions, they do not tell 20 directions in 20 dimensions from 20 in 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from blackbox_am.analysis.geometry.measures import (
    check_spread,
    checked_labels,
    class_means,
    clusters,
    pair_cosines,
    random_cosine,
)
from blackbox_am.analysis.results import Analysis, Arrays, Drawn, TableOfNumbers
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.rng import position_seed
from blackbox_am.core.types import FloatArray
from blackbox_am.plots.style import SERIES, clean, house_style

NOT_PACKING = (
    "Silhouette, Davies-Bouldin and t-SNE describe how noisy the classes are, not superposition: "
    "only the cosines respond to how many directions share how many dimensions."
)
LEAST_FOR_MAP = 10
LEGEND = 12


@dataclass(frozen=True, kw_only=True)
class Geometry(Analysis):
    """The geometry of a layer.

    Attributes:
        units: number U of units, the dimension.
        cosines: of all pairs of class means.
        silhouette, davies_bouldin: of the classes.
        places: (N, 2) of a t-SNE map; None if it was not made.
        labels: (N,).
    """

    units: int
    cosines: FloatArray
    silhouette: float
    davies_bouldin: float
    places: FloatArray | None
    labels: NDArray[Any]

    @property
    def mean_cosine(self) -> float:
        """The mean of |cos| over pairs of class means."""
        return float(np.abs(self.cosines).mean())

    def data(self) -> Arrays:
        found: Arrays = {
            "cosines": self.cosines,
            "silhouette": np.array(self.silhouette),
            "davies_bouldin": np.array(self.davies_bouldin),
            "labels": self.labels,
        }
        return found if self.places is None else {**found, "places": self.places}

    def plot(self) -> Figure:
        with house_style():
            figure = Figure(figsize=(8.2, 3.2), facecolor="white", layout="constrained")
            axes = figure.subplots(1, 1 if self.places is None else 2, squeeze=False)[0]
            clean(axes[0])
            axes[0].hist(self.cosines, bins=np.linspace(-1, 1, 41), color=SERIES[0])
            expected = random_cosine(self.units)
            for value in (-expected, expected):
                axes[0].axvline(value, color=SERIES[1], linestyle="--", linewidth=1.2)
            axes[0].set_xlabel("cosine of two class means; dashed: random directions")
            axes[0].set_ylabel("pairs")
            if self.places is not None:
                self._draw_map(axes[1])
        return figure

    def figures(self) -> list[Drawn]:
        text = "Cosines of class means"
        text += "." if self.places is None else ", and a t-SNE map of the stimuli."
        return [Drawn(self.plot(), text)]

    def lead(self) -> list[str]:
        return [
            (
                f"The class means have |cos| {self.mean_cosine:.3f} on average; random directions "
                f"in {self.units:,} dimensions have {random_cosine(self.units):.3f}. Silhouette "
                f"{self.silhouette:.3f}, Davies-Bouldin {self.davies_bouldin:.2f}."
            ),
            NOT_PACKING,
        ]

    def tables(self) -> list[TableOfNumbers]:
        rows = [
            ("mean |cos| of class means", self.mean_cosine),
            ("largest |cos|", float(np.abs(self.cosines).max())),
            ("random directions, closed form", random_cosine(self.units)),
            ("silhouette", self.silhouette),
            ("Davies-Bouldin", self.davies_bouldin),
        ]
        return [TableOfNumbers("Numbers", ("measure", "value"), rows)]

    def _draw_map(self, axes: Any) -> None:
        assert self.places is not None
        names = np.unique(self.labels)
        for number, name in enumerate(names):
            chosen = self.labels == name
            axes.scatter(
                *self.places[chosen].T, s=8, color=SERIES[number % len(SERIES)],
                marker="o^s"[number // len(SERIES) % 3], label=str(name),
            )  # fmt: skip
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlabel("t-SNE; distances between groups mean nothing")
        if len(names) <= LEGEND:
            axes.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.02))


def geometry(
    oracle: Oracle,
    layer: str,
    stimuli: Any,
    labels: Any,
    *,
    centre: bool = False,
    tsne: bool = True,
    seed: int = 0,
) -> Geometry:
    """Measure the geometry of a layer.

    Args:
        oracle: any oracle.
        layer: the layer; a map counts by the mean of each unit.
        stimuli: (N, *stimulus).
        labels: (N,) the class of each, two classes or more of two stimuli or more.
        centre: whether the mean of all stimuli is subtracted before the cosines. Layers behind a
            ReLU have a large common mean, which makes all cosines near 1.
        tsne: whether to make a t-SNE map, of 10 stimuli or more.
        seed: of the map.

    Raises:
        InvalidSpec: for labels that do not fit, or equal activations for all stimuli.
        MissingExtra: without scikit-learn.
        ShapeMismatch, UnknownUnit, OracleFailed: see `Subject`.
    """
    subject = Subject.of_layer(oracle, layer, method="geometry")
    shown = subject.stimuli(stimuli)
    known = checked_labels(labels, len(shown))
    values = subject.measure(shown)
    check_spread(values, "geometry")
    vectors = class_means(values - values.mean(0) if centre else values, known)
    silhouette, index = clusters(values, known)
    made = _map(values, seed) if tsne and len(values) >= LEAST_FOR_MAP else None
    return Geometry(
        method="geometry",
        subject=layer,
        model=subject.name,
        parameters={
            "stimuli": len(shown),
            "vectors": f"class means, {'centred' if centre else 'as they are'}",
        },
        spent=subject.spent,
        units=values.shape[1],
        cosines=pair_cosines(vectors),
        silhouette=silhouette,
        davies_bouldin=index,
        places=made,
        labels=known,
    )


def _map(values: FloatArray, seed: int) -> FloatArray:
    from sklearn.manifold import TSNE

    own = position_seed(seed, "t-sne", 0, 0) % 2**31
    around = min(30.0, (len(values) - 1) / 3)
    made = TSNE(2, perplexity=around, init="pca", random_state=own)
    return np.asarray(made.fit_transform(values), np.float64)
