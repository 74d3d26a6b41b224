"""The attacks of `bench attacks`: how many queries they need, and whether their counts are true.

Every attack has the same images, ball and budget. An oracle that logs every row it serves stands
behind each of them, so that reported rows can be compared with served rows. A failure counts as the
whole budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.attacks.local import attack
from blackbox_am.attacks.problem import Norm
from blackbox_am.attacks.results import AttackResult, Outcome
from blackbox_am.bench.measurement import Measurement
from blackbox_am.bench.problems import pictures, resnet20
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper

TEST_IMAGES = "cifar10_test_1000.npz"


@dataclass(frozen=True)
class Entry:
    """An attack and what it should reach.

    Attributes:
        method: the optimizer, with its parameters as NAME,PARAMETER=VALUE.
        part: where the attack belongs.
        most: the largest median of the queries over all images, failures at the budget; None for no
            aim.
        least: the smallest rate of success.
        norm, eps: the ball.
        targets: the wanted classes; None for an untargeted attack.
    """

    method: str
    part: str
    most: float | None = None
    least: float = 0.0
    norm: Norm = "linf"
    eps: float = 8 / 255
    targets: Literal["next"] | None = None


ENTRIES = (
    Entry("square", "linf", 37, 1.0),
    Entry("sep_cma", "linf", 80, 0.98),
    Entry("signhunter", "linf", 64),
    Entry("nes", "linf", 124),
    Entry("simba", "linf", 81),
    Entry("bandits", "linf"),
    Entry("parsimonious", "linf"),
    Entry("nevergrad:DiagonalCMA", "linf"),
    Entry("square", "l2", 74, 1.0, "l2", 1.0),
    Entry("simba", "l2", norm="l2", eps=1.0),
    Entry("nes", "l2", norm="l2", eps=1.0),
    Entry("signhunter", "l2", norm="l2", eps=1.0),
    Entry("square", "targeted", 204, 0.98, targets="next"),
    Entry("signhunter", "targeted", targets="next"),
    Entry("rays", "labels", 245, 0.82),
    Entry("hopskipjump", "labels", 474, 0.88, "l2", 1.0),
    Entry("hopskipjump", "labels", 474, 0.88),
    Entry("pgd", "gradients"),
    Entry("apgd", "gradients"),
)


@dataclass(frozen=True)
class Logged(Wrapper):
    """Logs the rows of every call, as a model's own server would."""

    kind: ClassVar[str] = "logged"
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"rows"})

    rows: list[int] = field(default_factory=list)

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        self.rows.append(len(stimuli))
        return self.ask(stimuli, units)


def test_images(assets: Path, skip: int, count: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Test images (N, 3, 32, 32) and labels (N,) that the model classifies correctly."""
    stimuli, labels = (np.asarray(part)[skip:] for part in pictures(assets / TEST_IMAGES))
    model = resnet20(assets)
    units = [Unit("output", index) for index in range(10)]
    scores = model.observe(torch.from_numpy(stimuli), units)
    right = np.flatnonzero(scores.argmax(1).numpy() == labels)[:count]
    return stimuli[right], labels[right]


def lines_of(
    entry: Entry, assets: Path, stimuli: NDArray[Any], labels: NDArray[Any], budget: int
) -> list[Measurement]:
    """The measurements of one attack."""
    oracle = Logged(resnet20(assets))
    result = attack(
        oracle=oracle,
        images=stimuli,
        labels=labels,
        targets=entry.targets,
        norm=entry.norm,
        eps=entry.eps,
        method=entry.method,
        budget=budget,
    )
    name = f"{entry.part}: {result.attack}, {entry.norm} {entry.eps:.3g}"
    queries = stop_queries(result)
    success, median = len(result.of(Outcome.SUCCESS)) / len(queries), float(np.median(queries))
    served = sum(oracle.rows)
    return [
        Measurement(
            f"{name}: success",
            success,
            target=f">= {entry.least}" if entry.least else "",
            met=success >= entry.least if entry.least else None,
            unit="",
        ),
        Measurement(
            f"{name}: median queries",
            median,
            "",
            baseline=float(entry.most or np.nan),
            ratio=median / entry.most if entry.most else np.nan,
            target="<= 1" if entry.most else "",
            met=median <= entry.most if entry.most else None,
        ),
        Measurement(
            f"{name}: served rows / reported rows",
            served,
            "rows",
            baseline=result.spent.rows,
            ratio=served / result.spent.rows,
            target="1",
            met=served == result.spent.rows,
        ),
        Measurement(f"{name}: mean queries", float(queries.mean()), ""),
    ]


def stop_queries(result: AttackResult) -> NDArray[np.int64]:
    """(N,) queries of every attacked image; the budget for a failure."""
    return np.array(
        [
            one.queries if one.outcome is Outcome.SUCCESS else result.budget
            for one in result.attacked
        ]
    )
