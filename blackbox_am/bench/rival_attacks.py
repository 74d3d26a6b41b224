"""Attacks of other libraries on the same images, as baselines of `bench attacks`.

Foolbox 3.3.4 and the Adversarial Robustness Toolbox 1.20.1 are not dependencies; what is not
installed is skipped, and the table says so. Both attack a batch in lock step: every call has a row
of every image, also of those that are fooled already, so only their calls and their mean rows can
be counted from outside, which is done here.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from blackbox_am.bench.measurement import Measurement
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.units import Unit

Array = NDArray[Any]
CLASSES = 10


class Counted(nn.Module):
    """A classifier that counts its calls and rows.

    Attributes:
        calls, rows: of all calls so far.
    """

    def __init__(self, oracle: Oracle) -> None:
        super().__init__()
        self._oracle = oracle
        self._units = [Unit("output", index) for index in range(CLASSES)]
        self.calls = self.rows = 0

    def forward(self, stimuli: torch.Tensor) -> torch.Tensor:
        """(N, classes) scores."""
        self.calls += 1
        self.rows += len(stimuli)
        return self._oracle.observe(stimuli.float(), self._units).float()


def lines(
    oracle: Oracle, stimuli: Array, labels: Array, budget: int, say: Callable[[str], None]
) -> list[Measurement]:
    """The measurements of every library that is installed."""
    found: list[Measurement] = []
    for library, name, run in (
        ("foolbox", "foolbox HopSkipJump, l2 1", _foolbox),
        ("art", "ART SquareAttack, linf 8/255", _art),
    ):
        if find_spec(library) is None:
            say(f"rivals: {name} skipped: {library} is not installed")
            continue
        say(f"rivals: {name} ...")
        model = Counted(oracle)
        success = run(model, stimuli, labels, budget)
        found += [
            Measurement(f"rivals: {name}: success", success, ""),
            Measurement(f"rivals: {name}: mean rows an image", model.rows / len(stimuli), ""),
            Measurement(f"rivals: {name}: calls", model.calls, ""),
        ]
    return found


def _foolbox(model: Counted, stimuli: Array, labels: Array, budget: int) -> float:
    """The part of the images that HopSkipJump fools within an L2 distance of 1.

    It has no limit of queries. Step t takes about 100 sqrt(t) queries; as many steps are taken as
    the budget allows.
    """
    steps, queries = 0, 50.0
    while queries < budget:
        steps += 1
        queries += 100 * steps**0.5 + 25
    foolbox: Any = import_module("foolbox")
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    attack = foolbox.attacks.HopSkipJumpAttack(steps=max(steps, 1), constraint="l2")
    images, truth = torch.from_numpy(stimuli), torch.from_numpy(labels)
    _, changed, fooled = attack(wrapped, images, truth, epsilons=1.0)
    near = (changed - images).flatten(1).norm(dim=1) <= 1 + 1e-5
    return float((fooled & near).float().mean())


def _art(model: Counted, stimuli: Array, labels: Array, budget: int) -> float:
    """The part of the images that the square attack fools within 8/255."""
    estimators: Any = import_module("art.estimators.classification")
    evasion: Any = import_module("art.attacks.evasion")
    classifier = estimators.PyTorchClassifier(
        model,
        loss=nn.CrossEntropyLoss(),
        input_shape=stimuli.shape[1:],
        nb_classes=CLASSES,
        clip_values=(0.0, 1.0),
    )
    attack = evasion.SquareAttack(
        classifier,
        norm=np.inf,
        eps=8 / 255,
        max_iter=budget,
        p_init=0.05,
        batch_size=len(stimuli),
        verbose=False,
    )
    changed = attack.generate(stimuli.astype(np.float32), labels)
    scores = model(torch.from_numpy(changed)).argmax(1).numpy()
    return float((scores != labels).mean())
