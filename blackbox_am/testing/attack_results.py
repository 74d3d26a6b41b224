"""Results of attacks that no attack has made, for tests of reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.attacks.results import AttackedInput, AttackResult, Outcome
from blackbox_am.core.types import Accounting

CLASSES = ("cat", "dog", "bird", "ship")

Stop = int | None | Outcome
"""Queries of a success, None for a failure, or another outcome."""


def attack_result(
    stops: Sequence[Stop],
    *,
    shape: tuple[int, ...] = (3, 8, 8),
    eps: float = 8 / 255,
    budget: int = 100,
    attack: str = "square",
    data_seed: int = 0,
    **changes: Any,
) -> AttackResult:
    """A consistent result: every success is inside the ball, verified, and of the class after its
    own.

    Args:
        stops: what became of each input.
        shape: shape of an input.
        eps: radius of the ball in the maximum norm.
        budget: queries of a failure.
        attack: name of the attack.
        data_seed: results of equal `data_seed` have the same clean inputs.
        changes: other fields of the result.
    """
    inputs = tuple(_input(index, stop, budget) for index, stop in enumerate(stops))
    random = np.random.default_rng(data_seed)
    clean = random.integers(0, 256, (len(stops), *shape), np.uint8)
    fields: dict[str, Any] = {
        "parameters": {"norm": "linf", "share": 0.05},
        "norm": "linf",
        "targeted": False,
        "seed": 7,
        "oracle": "resnet20",
        "identity": {"data digest": "3f1c9b62a0de4b7c"},
        "classes": CLASSES,
        "spent": Accounting(calls=50, rows=400, probe_rows=4),
    }
    return AttackResult(
        attack=attack,
        eps=eps,
        budget=budget,
        inputs=inputs,
        clean=clean,
        adversarial=_within(clean, inputs, round(eps * 255)),
        **(fields | changes),
    )


def _input(index: int, stop: Stop, budget: int) -> AttackedInput:
    label = index % len(CLASSES)
    name = f"{index:03d}.png"
    if isinstance(stop, Outcome):
        unread = stop in (Outcome.ERROR, Outcome.UNFINISHED)
        answer = None if unread else (label + 1) % len(CLASSES)
        return AttackedInput(index, name, stop, label, clean_label=answer, message="not attacked")
    known: dict[str, Any] = {"label": label, "clean_label": label, "clean_score": 0.75}
    if stop is None:
        return AttackedInput(index, name, Outcome.FAILED, queries=budget, **known)
    return AttackedInput(
        index,
        name,
        Outcome.SUCCESS,
        queries=stop,
        adversarial_label=(label + 1) % len(CLASSES),
        adversarial_score=0.625,
        verified=True,
        **known,
    )


def _within(
    clean: NDArray[np.uint8], inputs: Sequence[AttackedInput], steps: int
) -> NDArray[np.uint8]:
    """The inputs that were attacked, changed by `steps` towards the middle of the range."""
    changed = np.where(clean < 128, clean + np.uint8(steps), clean - np.uint8(steps))
    attacked = [one.outcome in (Outcome.SUCCESS, Outcome.FAILED) for one in inputs]
    places = np.asarray(attacked, bool).reshape(-1, *(1,) * (clean.ndim - 1))
    return np.where(places, changed, clean).astype(np.uint8)
