"""A caller's request for an attack, checked and completed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.attacks.inputs import Given, as_numbers, as_pixels, labels_in
from blackbox_am.attacks.labels import Goals
from blackbox_am.attacks.problem import Norm, Problem
from blackbox_am.errors import InvalidInput

REPEATS, MOST_REPEATS = 5, 100
"""How often a clean input is measured to test whether the model repeats its answers."""
Labels = str | Path | Sequence[Any] | NDArray[Any]


@dataclass(frozen=True)
class Asked:
    """A request for an attack.

    Attributes:
        labels: the true classes: (N,) numbers or names, or a file of them (`inputs.labels_in`).
            None or `auto` for labels beside the inputs in a .npz file, else for the model's own
            answers to the clean inputs.
        targets: for a targeted attack the wanted classes: (N,) classes, a file of them, one class
            for all, `next` or `least-likely`.
        norm, eps, budget, seed: as of `Problem`.
        method: the attack, or several in sequence, each on the inputs that those before have left.
        parameters: of the optimizer; of every optimizer if there are several.
        bits: bits of the values of adversarial inputs; 0 for real numbers. None is 8 if the inputs
            are pictures, whole numbers of 255ths, else 0.
        tiles: as of `Problem`.
        repeats: how often some clean inputs are measured, to test whether the model repeats its
            answers; 1 for no test.

    Raises:
        InvalidInput: for less than one repeat, or more than 100.
    """

    labels: Labels | None = None
    targets: Labels | int | None = None
    norm: Norm = "linf"
    eps: float = 8 / 255
    method: str | Sequence[str] = "auto"
    parameters: Mapping[str, Any] | None = None
    budget: int = 2000
    bits: int | None = None
    seed: int = 0
    repeats: int = REPEATS
    tiles: Sequence[int] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.repeats <= MOST_REPEATS:
            raise InvalidInput(
                f"repeats: expected 1 (no test) to {MOST_REPEATS} measurements of a clean input, "
                f"got {self.repeats}",
                field="repeats",
            )

    def about(self, given: Given) -> tuple[Given, Goals, list[Problem]]:
        """The inputs as they are attacked, what is known of them, and the problem of each attack.

        Raises:
            InvalidInput: for limits that cannot work.
        """
        given = as_pixels(given) if self.bits in (None, 8) else as_numbers(given)
        pictures = given.stimuli.dtype == np.uint8
        bits = (8 if pictures else 0) if self.bits is None else self.bits
        goals = Goals(given.names, self._labels(given), self._targets(given))
        methods = [self.method] if isinstance(self.method, str) else list(self.method)
        if not methods:
            raise InvalidInput("method: expected an attack or several, got none", field="method")
        problems = [
            Problem(
                self.norm,
                self.eps,
                method,
                dict(self.parameters or {}),
                self.budget,
                goals.targeted,
                bits,
                self.seed,
                tuple(self.tiles),
            )
            for method in methods
        ]
        return given, goals, problems

    def _labels(self, given: Given) -> Sequence[Any] | None:
        if self.labels is None or (isinstance(self.labels, str) and self.labels == "auto"):
            return given.labels
        if isinstance(self.labels, (str, Path)):
            return labels_in(self.labels, given)
        return np.asarray(self.labels).reshape(-1).tolist()

    def _targets(self, given: Given) -> Sequence[Any] | str | int | None:
        targets = self.targets
        if isinstance(targets, Path) or (isinstance(targets, str) and Path(targets).is_file()):
            return labels_in(targets, given, "targets")
        if targets is None or isinstance(targets, str):
            return targets
        if np.ndim(targets) == 0:
            return int(targets)  # type: ignore[arg-type]  # a number of numpy is no int
        return np.asarray(targets).reshape(-1).tolist()
