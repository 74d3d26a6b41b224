"""Facets: the different kinds of stimuli that excite one unit.

Wei, Zhou, Torralba, Freeman, "Understanding Intra-Class Knowledge Inside CNN", 2015; Nguyen,
Yosinski, Clune, "Multifaceted Feature Visualization", 2016: the natural stimuli of the largest
activation are clustered, and a search begins at the middle of each cluster.
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
from blackbox_am.core.generator import Generator
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.parameters import check
from blackbox_am.core.rng import position_seed
from blackbox_am.core.types import FloatArray
from blackbox_am.core.units import Unit
from blackbox_am.errors import MissingExtra, ShapeMismatch, Unsupported
from blackbox_am.plots import sheet
from blackbox_am.studies.local import maximise


@dataclass(frozen=True, kw_only=True)
class Facets(Analysis):
    """K kinds of stimuli of one unit.

    Attributes:
        means: (K, *stimulus) mean of the natural stimuli of each facet, the largest facet first.
        members: for each facet the positions of its stimuli in the set, the best first.
        examples: (K, *stimulus) the best natural stimulus of each facet.
        activations: (K,) mean activation of the members.
        found: (K, *stimulus) what a search from each facet found; None without a generator.
        found_scores: (K,) its scores; empty without a generator.
        distances: (K, K) Euclidean distances of the facets' middles, in the units of the mean
            distance of a member to its own middle.
        silhouette: of the clusters, from -1 to 1: near 0, the facets are no separate groups.
    """

    means: NDArray[np.float32]
    members: tuple[NDArray[np.int64], ...]
    examples: NDArray[np.float32]
    activations: FloatArray
    found: NDArray[np.float32] | None
    found_scores: FloatArray
    distances: FloatArray
    silhouette: float

    def data(self) -> Arrays:
        arrays: Arrays = {
            "means": self.means, "examples": self.examples, "activations": self.activations,
            "distances": self.distances, "members": np.concatenate(self.members),
            "sizes": np.array([len(one) for one in self.members]),
        }  # fmt: skip
        if self.found is not None:
            arrays |= {"found": self.found, "found_scores": self.found_scores}
        return arrays

    def plot(self) -> Figure:
        rows = [self.means, self.examples] + ([] if self.found is None else [self.found])
        return sheet([one for row in rows for one in row], columns=len(self.means))

    def figures(self) -> list[Drawn]:
        text = "One column a facet. Above its mean, then its best natural stimulus"
        return [Drawn(self.plot(), text + ("." if self.found is None else ", then the search."))]

    def lead(self) -> list[str]:
        sizes = ", ".join(str(len(one)) for one in self.members)
        sentence = f"{len(self.means)} facets of {sizes} stimuli; silhouette {self.silhouette:.2f}"
        if self.silhouette < 0.1:
            return [f"{sentence}: the groups are not separate, so the unit may have one facet."]
        return [f"{sentence}."]

    def tables(self) -> list[TableOfNumbers]:
        rows = []
        for k, members in enumerate(self.members):
            score = self.found_scores[k] if len(self.found_scores) else None
            rows.append((f"facet {k + 1}", len(members), self.activations[k], score))
        head = ("facet", "stimuli", "mean activation", "search from it")
        pairs = [
            (f"facet {k + 1}", *(f"{x:.2f}" for x in row)) for k, row in enumerate(self.distances)
        ]
        names = ("facet", *(f"facet {k + 1}" for k in range(len(self.means))))
        return [
            TableOfNumbers("Facets", head, rows),
            TableOfNumbers(
                "Distances",
                names,
                pairs,
                "In units of the mean distance of a stimulus to the middle of its own facet.",
            ),
        ]


def facets(
    oracle: Oracle,
    unit: str | Unit,
    natural: Any,
    *,
    k: int = 4,
    top: int = 100,
    features: Any = None,
    generator: Generator | None = None,
    queries: int = 300,
    seed: int = 0,
) -> Facets:
    """Cluster the natural stimuli that excite a unit most.

    Args:
        oracle: any oracle.
        unit: the unit's address.
        natural: (N, *stimulus).
        k: number of facets.
        top: natural stimuli that are clustered; at most N.
        features: (N, F) features of the natural stimuli, in which they are clustered; their own
            numbers if None.
        generator: a generator with an encoder, in which a search begins at each facet's mean.
        queries: of each search.
        seed: of the clustering and the searches.

    Raises:
        Unsupported: for a generator without an encoder.
        ShapeMismatch: for other numbers of features.
        InvalidSpec: for more facets than stimuli.
        MissingExtra: without scikit-learn.
    """
    subject = Subject(oracle, [unit], method="facets")
    shown = subject.stimuli(natural)
    top = min(top, len(shown))
    check(top >= 3, "top", "3 stimuli or more", top)
    check(2 <= k < top, "k", f"2 to {top - 1}, for {top} stimuli", k)
    if generator is not None and not generator.encodes:
        raise Unsupported(
            f"facets: a search begins at the mean of a facet, and this {generator.kind} generator "
            "has no encoder; take one that encodes, such as pca or diffusers_vae"
        )
    scores = subject.measure(shown)[:, 0]
    chosen = np.argsort(-scores, kind="stable")[:top]
    rows = _rows(shown, features)[chosen]
    groups, silhouette = _clustered(rows, k, seed)
    members = [chosen[groups == g] for g in np.argsort(-np.bincount(groups), kind="stable")]
    means = torch.stack([shown[one].mean(0) for one in members])
    found, found_scores, spent = _searched(subject, means, generator, queries, seed)
    return Facets(
        method="facets",
        subject=str(subject.units[0]),
        model=subject.name,
        parameters={"top": top, "k": k, "queries": queries, "seed": seed},
        spent=spent,
        means=means.numpy(),
        members=tuple(members),
        examples=np.stack([shown[one[0]].numpy() for one in members]),
        activations=np.array([scores[one].mean() for one in members]),
        found=found,
        found_scores=found_scores,
        distances=_distances(_rows(shown, features), members),
        silhouette=silhouette,
    )


def _rows(shown: torch.Tensor, features: Any) -> FloatArray:
    if features is None:
        return shown.flatten(1).double().numpy()
    found = np.asarray(features, np.float64)
    if found.ndim != 2 or len(found) != len(shown):
        raise ShapeMismatch(
            f"features: expected ({len(shown)}, F), one row a stimulus, got {found.shape}",
            field="features",
        )
    check(bool(np.isfinite(found).all()), "features", "finite numbers", "nan or infinity")
    return found


def _clustered(rows: FloatArray, k: int, seed: int) -> tuple[NDArray[np.int64], float]:
    try:
        from sklearn.cluster import KMeans
        from sklearn.metrics import silhouette_score
    except ModuleNotFoundError as error:
        raise MissingExtra.of("scikit-learn", "analysis") from error
    different = len(np.unique(rows, axis=0))
    check(different >= k, "k", f"at most the {different} different stimuli among the top ones", k)
    own = position_seed(seed, "facets", 0, 0) % 2**31
    groups = KMeans(k, n_init=10, random_state=own).fit_predict(rows)
    return np.asarray(groups, np.int64), float(silhouette_score(rows, groups))


def _distances(rows: FloatArray, members: list[NDArray[np.int64]]) -> FloatArray:
    middles = np.stack([rows[one].mean(0) for one in members])
    own = [
        np.linalg.norm(rows[one] - middle, axis=1)
        for one, middle in zip(members, middles, strict=True)
    ]
    typical = float(np.concatenate(own).mean()) or 1.0
    return np.asarray(np.linalg.norm(middles[:, None] - middles[None], axis=2) / typical)


def _searched(
    subject: Subject,
    means: torch.Tensor,
    generator: Generator | None,
    queries: int,
    seed: int,
) -> tuple[NDArray[np.float32] | None, FloatArray, Any]:
    if generator is None:
        return None, np.empty(0), subject.spent
    spent, stimuli, scores = subject.spent, [], []
    for latent in generator.encode(means):
        result = maximise(
            oracle=subject.oracle,
            generator=generator,
            targets=[str(subject.units[0])],
            queries_per_target=queries,
            start=latent[None].cpu().numpy(),
            seed=seed,
            progress=False,
        )
        spent += result.progress.spent
        stimuli.append(np.asarray(result.best[0].stimulus, np.float32))
        scores.append(result.best[0].score)
    return np.stack(stimuli), np.array(scores), spent
