"""Numbers of a set of labelled activations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from blackbox_am.core.types import FloatArray
from blackbox_am.errors import InvalidSpec, MissingExtra

LEAST_IN_CLASS = 2


def random_cosine(dimension: int) -> float:
    """E|cos| of two random directions in `dimension` dimensions:
    Gamma(d/2) / (sqrt(pi) Gamma((d+1)/2)).
    """
    logs = gammaln(dimension / 2) - gammaln((dimension + 1) / 2)
    return float(np.exp(logs) / np.sqrt(np.pi))


def class_means(activations: FloatArray, labels: NDArray[Any]) -> FloatArray:
    """(C, U) the mean activations of each class, in the order of the labels."""
    return np.stack([activations[labels == one].mean(0) for one in np.unique(labels)])


def pair_cosines(vectors: FloatArray) -> FloatArray:
    """The cosines of all pairs of V vectors (V, U); a vector of zeros has cosine 0."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled = vectors / np.where(norms > 0, norms, 1.0)
    rows, columns = np.triu_indices(len(vectors), 1)
    return np.asarray((scaled @ scaled.T)[rows, columns])


def clusters(activations: FloatArray, labels: NDArray[Any]) -> tuple[float, float]:
    """Silhouette (-1 to 1, larger is more separate) and Davies-Bouldin index (0 or more, smaller is
    more separate) of the classes.

    Raises:
        MissingExtra: without scikit-learn.
    """
    try:
        from sklearn.metrics import davies_bouldin_score, silhouette_score
    except ModuleNotFoundError as error:
        raise MissingExtra.of("scikit-learn", "analysis") from error
    return (
        float(silhouette_score(activations, labels)),
        float(davies_bouldin_score(activations, labels)),
    )


def check_spread(activations: FloatArray, method: str) -> None:
    """Check that stimuli (N, U) are not all at one point, which has no angles and no directions,
    and where scikit-learn's t-SNE ends the process.

    Raises:
        InvalidSpec: if they are.
    """
    if not np.ptp(activations, axis=0).any():
        raise InvalidSpec(
            f"{method}: all {len(activations):,} stimuli have the same activations, so the layer "
            "has no geometry; name another layer, or give other stimuli",
            field="layer",
        )


def checked_labels(labels: Any, rows: int) -> NDArray[Any]:
    """(N,) the label of each stimulus.

    Raises:
        InvalidSpec: for another number of labels, fewer than two classes, or a class with one
            stimulus.
    """
    found = np.asarray(labels)
    if found.shape != (rows,):
        raise InvalidSpec(
            f"labels: expected one for each of {rows:,} stimuli, got shape {found.shape}",
            field="labels",
        )
    names, counts = np.unique(found, return_counts=True)
    if len(names) < 2:
        raise InvalidSpec("labels: expected two classes or more, got one", field="labels")
    if counts.min() < LEAST_IN_CLASS:
        lonely = names[counts.argmin()]
        raise InvalidSpec(
            f"labels: class {lonely!s} has one stimulus; expected {LEAST_IN_CLASS} or more in each",
            field="labels",
        )
    return found
