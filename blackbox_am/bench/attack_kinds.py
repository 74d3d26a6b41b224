"""The kinds of model of `bench attacks`: a vision transformer, and a forest that tells labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am import zoo
from blackbox_am.attacks.local import attack
from blackbox_am.attacks.results import Outcome
from blackbox_am.bench.attack_runs import stop_queries
from blackbox_am.bench.measurement import Measurement

KINDS = ("vit", "forest")


@dataclass(frozen=True)
class Kind:
    """A model to attack with the choice of `auto`.

    Attributes:
        name: one of `KINDS`.
        oracle: the model, as `attack` takes it.
        inputs: (N, *input).
        eps: radius of the L-infinity ball.
    """

    name: str
    oracle: Any
    inputs: NDArray[Any]
    eps: float


def kinds(names: tuple[str, ...], count: int) -> Iterator[Kind]:
    """The models of these names, with at most `count` inputs each."""
    if "vit" in names:
        pictures = np.moveaxis(np.load(zoo.path("probe_images"))["x"], -1, 1)
        spread = pictures[:: max(1, len(pictures) // count)][:count]
        yield Kind("vit", "cifar_vit", spread, 8 / 255)
    if "forest" in names:
        yield Kind("forest", *_forest(count), 0.1)


def _forest(count: int) -> tuple[Callable[[NDArray[Any]], NDArray[Any]], NDArray[Any]]:
    """A random forest that tells only its label, and rows on which it was not fitted."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import RandomForestClassifier

    rows, classes = load_breast_cancer(return_X_y=True)
    low, high = rows.min(0), rows.max(0)
    rows = ((rows - low) / (high - low)).astype(np.float32)
    half = len(rows) // 2
    forest = RandomForestClassifier(20, random_state=0).fit(rows[half:], classes[half:])

    def labels(given: NDArray[Any]) -> NDArray[Any]:
        told: NDArray[Any] = np.eye(2)[forest.predict(given)]
        return told

    return labels, rows[:half][:count]


def lines_of(kind: Kind, budget: int) -> list[Measurement]:
    """The measurements of one attack, whose labels are the model's own answers."""
    result = attack(oracle=kind.oracle, images=kind.inputs, eps=kind.eps, budget=budget)
    name = f"kinds: {kind.name}, {result.attack}, linf {kind.eps:.3g}"
    queries = stop_queries(result)
    success = len(result.of(Outcome.SUCCESS)) / len(queries)
    return [
        Measurement(f"{name}: success", success, unit=""),
        Measurement(f"{name}: median queries", float(np.median(queries)), ""),
        Measurement(f"{name}: rows of the model", result.spent.rows, "rows"),
    ]
