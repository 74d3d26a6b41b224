"""The studies of an attack.

An attack is three studies, each as any other: `clean` measures every clean input once, `search`
attacks the inputs that the model classifies correctly, and `verify` measures the stored adversarial
inputs afresh. So each can be watched, paused, resumed and billed, here and on a server.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from blackbox_am.attacks.problem import DISTANCES, Problem, method_of
from blackbox_am.core.scores import Scale
from blackbox_am.core.spec import (
    ArrayData,
    Budget,
    CriterionSpec,
    GeneratorSpec,
    ObjectiveSpec,
    OptimizerSpec,
    StartSpec,
    StudySpec,
)

GENERATOR = "perturbation"
FINEST_TILES = 48
"""Tiles in each direction of a large image: more tiles cost more queries than they win (Meunier,
Atif and Teytaud, 2019, use 30 to 50 for 224 and 299 pixels)."""


@dataclass(frozen=True)
class Classes:
    """Where a model tells its classes.

    Attributes:
        quantities: units with the scores of all classes; or one unit, the predicted class's number.
        names: of the classes; empty if they have none.
        scale: what the scores are.
    """

    quantities: tuple[str, ...]
    names: tuple[str, ...] = ()
    scale: Scale = "logits"


@dataclass(frozen=True)
class Inputs:
    """The inputs of an attack, as a study names them.

    Attributes:
        shape: of one input.
        count: number of inputs.
        oracle: name of the model.
        artifact: digest of the array on a server; empty in this process.
        fingerprint: of the model; empty if unknown.
    """

    shape: tuple[int, ...]
    count: int
    oracle: str
    artifact: str = ""
    fingerprint: str = ""


def measuring_spec(
    problem: Problem,
    classes: Classes,
    inputs: Inputs,
    measured_for: Literal["clean", "verify"],
    rows: Sequence[int] | None = None,
) -> StudySpec:
    """The study that measures inputs as they are: the clean ones, or what was found.

    Args:
        problem: for bits and seed.
        classes: where the model tells its classes.
        inputs: all inputs.
        measured_for: how the accounts name the rows.
        rows: positions of the measured inputs, each as often as it is measured; each input once if
            None.
    """
    rows = range(inputs.count) if rows is None else rows
    still = np.zeros((1, math.prod(inputs.shape)), np.float32)
    return StudySpec(
        targets=(ObjectiveSpec("mean", classes.quantities),) * len(rows),
        budget=Budget(queries_per_target=1, recheck_fraction=0.0),
        generator=_generator(inputs, rows, {"squash": False, "radius": 1.0, "bits": problem.bits}),
        oracle=inputs.oracle,
        optimizer=OptimizerSpec("random", {"population": 1}),
        seed=problem.seed,
        start=StartSpec(latents=ArrayData.of(still)),
        measured_for=measured_for,
    )


def search_spec(
    problem: Problem,
    classes: Classes,
    inputs: Inputs,
    rows: Sequence[int],
    labels: Sequence[int],
    start: StartSpec | None = None,
) -> StudySpec:
    """The study that attacks.

    Args:
        problem: with the name of the optimizer instead of `auto`.
        classes: where the model tells its classes.
        inputs: all inputs.
        rows: positions of the attacked inputs, K of them.
        labels: (K,) the class that must lose, or must win if the attack is targeted.
        start: latents at which the search begins; none for the usual start.
    """
    method = method_of(problem.attack)
    parameters = dict(problem.parameters)
    if method.takes_norm:
        parameters.setdefault("norm", problem.norm)
    if problem.targeted:
        parameters = {**method.targeted, **parameters}
    if method.radius_parameter:
        parameters.setdefault(method.radius_parameter, int(problem.eps))
    return StudySpec(
        targets=tuple(_objective(problem, classes, label) for label in labels),
        criteria=tuple(_criterion(problem, classes, label) for label in labels),
        budget=Budget(queries_per_target=problem.budget, recheck_fraction=0.0),
        generator=generator_spec(problem, inputs, rows),
        oracle=inputs.oracle,
        optimizer=OptimizerSpec(problem.attack, parameters),
        seed=problem.seed,
        start=start,
    )


def generator_spec(problem: Problem, inputs: Inputs, rows: Sequence[int]) -> GeneratorSpec:
    """The changes of the inputs at positions `rows`, within the problem's ball."""
    method = method_of(problem.attack)
    outside = method.latents == "range"
    parameters: dict[str, Any] = {
        "ball": "linf" if outside else problem.norm,
        "radius": 1.0 if outside else float(problem.eps),
        "squash": method.latents == "squashed",
        "bits": problem.bits,
    }
    size = _tiles(problem, inputs)
    if size:
        parameters |= {"basis": "stripes", "size": size}
    return _generator(inputs, rows, parameters)


def _generator(inputs: Inputs, rows: Sequence[int], parameters: dict[str, Any]) -> GeneratorSpec:
    """The generator around the inputs at positions `rows`."""
    if list(rows) != list(range(inputs.count)):
        parameters["rows"] = [int(row) for row in rows]
    digest = {"inputs": inputs.artifact} if inputs.artifact else {}
    return GeneratorSpec(GENERATOR, parameters, digest)


def _tiles(problem: Problem, inputs: Inputs) -> int:
    """Tiles in each direction; 0 where each value has a latent coordinate of its own.

    Those of the problem if it has some, else half the width of a small image: 16 for 32 pixels.
    Each column has a coordinate besides.
    """
    squashed = method_of(problem.attack).latents == "squashed"
    if problem.tiles:
        return problem.tiles[0]
    if not squashed or problem.norm == "l0" or len(inputs.shape) != 3:
        return 0
    side = min(inputs.shape[1:])
    return max(1, min(side // 2, FINEST_TILES))


def _objective(problem: Problem, classes: Classes, label: int) -> ObjectiveSpec:
    named: Mapping[str, Any] = {"label": int(label), "targeted": problem.targeted}
    if method_of(problem.attack).needs == "labels":
        quantities = (*classes.quantities, DISTANCES[problem.norm])
        return ObjectiveSpec("label", quantities, parameters={**named, "closest": True})
    kind = method_of(problem.attack).targeted_objective if problem.targeted else "margin"
    return ObjectiveSpec(kind, classes.quantities, parameters={**named, "scale": classes.scale})


def _criterion(problem: Problem, classes: Classes, label: int) -> CriterionSpec:
    kind = "target_class" if problem.targeted else "misclassified"
    fooled = CriterionSpec(kind, classes.quantities, {"label": int(label)})
    if method_of(problem.attack).latents != "range":
        return fooled
    near = CriterionSpec("threshold", (DISTANCES[problem.norm],), {"at_most": _reached(problem)})
    return CriterionSpec("all", terms=(fooled, near))


def _reached(problem: Problem) -> float:
    """The largest measured distance of an input within the ball.

    Differences of rounded values are multiples of a step, up to the last bit of a float32.
    """
    steps = int(2**problem.bits) - 1
    if problem.norm == "linf" and problem.bits:
        whole = math.floor(problem.eps * steps * (1 + 1e-9))
        return (whole + 0.5) / steps
    return float(problem.eps)
