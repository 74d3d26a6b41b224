"""The main directions of a layer's activations: PCA or NMF, as targets of studies.

Olah et al., "The Building Blocks of Interpretability", Distill 2018, group the units of a layer by
matrix factorisation and visualise each group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure

from blackbox_am.analysis.figures import bars_figure
from blackbox_am.analysis.geometry.measures import check_spread
from blackbox_am.analysis.results import Analysis, Arrays, Drawn, TableOfNumbers
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.parameters import check
from blackbox_am.core.rng import position_seed
from blackbox_am.core.types import FloatArray
from blackbox_am.errors import InvalidSpec, MissingExtra
from blackbox_am.objectives.direction import Direction

Kind = Literal["pca", "nmf"]


@dataclass(frozen=True, kw_only=True)
class Components(Analysis):
    """K directions of a layer.

    Attributes:
        units: addresses of the U units.
        directions: (K, U), each of length 1.
        explained: (K,) part of the variance that the components up to each explain together; of
            NMF, of the sum of squares.
    """

    units: tuple[str, ...]
    directions: FloatArray
    explained: FloatArray

    def objective(self, component: int, power: float = 0.0) -> Direction:
        """Component `component`, from 0, as a target of a study.

        Raises:
            InvalidSpec: if there is no such component.
        """
        if not 0 <= component < len(self.directions):
            raise InvalidSpec(
                f"component: expected 0 to {len(self.directions) - 1}, got {component}"
            )
        vector = tuple(self.directions[component].tolist())
        return Direction(self.units, vector=vector, power=power)

    def data(self) -> Arrays:
        return {
            "units": np.array(self.units),
            "directions": self.directions,
            "explained": self.explained,
        }

    def plot(self) -> Figure:
        names = [f"first {k + 1}" for k in range(len(self.explained))]
        label = "part of the variance that is explained"
        return bars_figure(names, [("", self.explained, None)], y_label=label)

    def figures(self) -> list[Drawn]:
        return [Drawn(self.plot(), "What the first components explain together.")]

    def lead(self) -> list[str]:
        return [
            (
                f"{len(self.directions)} components of {len(self.units)} units explain "
                f"{self.explained[-1]:.1%} together, the first {self.explained[0]:.1%}."
            )
        ]

    def tables(self) -> list[TableOfNumbers]:
        rows = []
        for k, direction in enumerate(self.directions):
            top = np.argsort(-np.abs(direction))[:3]
            units = ", ".join(f"{self.units[u]} ({direction[u]:.2f})" for u in top)
            rows.append((f"component {k}", self.explained[k], units))
        return [TableOfNumbers("Components", ("component", "explained so far", "units"), rows)]


def components(
    oracle: Oracle,
    layer: str,
    stimuli: Any,
    *,
    k: int = 4,
    kind: Kind = "pca",
    seed: int = 0,
) -> Components:
    """The main directions of a layer over a set of stimuli.

    Args:
        oracle: any oracle.
        layer: the layer; a map counts by the mean of each unit.
        stimuli: (N, *stimulus), more than `k`.
        k: number of components.
        kind: `pca`, or `nmf` for activations that are 0 or more.
        seed: of the factorisation.

    Raises:
        InvalidSpec: for too few stimuli or units, equal activations for all stimuli, or negative
            ones for `nmf`.
        MissingExtra: without scikit-learn.
        ShapeMismatch, UnknownUnit, OracleFailed: see `Subject`.
    """
    check(kind in ("pca", "nmf"), "kind", "pca or nmf", kind)
    subject = Subject.of_layer(oracle, layer, method="components")
    shown = subject.stimuli(stimuli)
    most = min(len(shown) - 1, len(subject.units))
    check(1 <= k <= most, "k", f"1 to {most}, for {len(shown)} stimuli", k)
    values = subject.measure(shown)
    check_spread(values, "components")
    own = position_seed(seed, "components", 0, 0) % 2**31
    directions, explained = (_pca if kind == "pca" else _nmf)(values, k, own)
    return Components(
        method="components",
        subject=layer,
        model=subject.name,
        parameters={"stimuli": len(shown), "kind": kind, "k": k},
        spent=subject.spent,
        units=tuple(map(str, subject.units)),
        directions=directions,
        explained=explained,
    )


def _pca(values: FloatArray, k: int, seed: int) -> tuple[FloatArray, FloatArray]:
    try:
        from sklearn.decomposition import PCA
    except ModuleNotFoundError as error:
        raise MissingExtra.of("scikit-learn", "analysis") from error
    found = PCA(k, random_state=seed).fit(values)
    return np.asarray(found.components_), np.cumsum(found.explained_variance_ratio_)


def _nmf(values: FloatArray, k: int, seed: int) -> tuple[FloatArray, FloatArray]:
    if values.min() < 0:
        raise InvalidSpec(
            "nmf: expected activations of 0 or more, as behind a ReLU; use pca, or another layer",
            field="kind",
        )
    try:
        from sklearn.decomposition import NMF
    except ModuleNotFoundError as error:
        raise MissingExtra.of("scikit-learn", "analysis") from error
    found = NMF(k, init="nndsvda", random_state=seed, max_iter=2000, tol=1e-3)
    weights = found.fit_transform(values)
    parts = np.asarray(found.components_, np.float64)
    sizes = (weights**2).sum(0) * (parts**2).sum(1)
    order = np.argsort(-sizes)
    whole = float((values**2).sum()) or 1.0
    explained = [
        1 - ((values - weights[:, order[: n + 1]] @ parts[order[: n + 1]]) ** 2).sum() / whole
        for n in range(k)
    ]
    norms = np.linalg.norm(parts[order], axis=1, keepdims=True)
    return parts[order] / np.where(norms > 0, norms, 1.0), np.array(explained)
