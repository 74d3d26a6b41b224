"""The loop of a training: steps within a time budget, progress, checkpoints."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from blackbox_am.errors import Conflict
from blackbox_am.fitting import checkpoints
from blackbox_am.fitting.images import as_stimuli

SAVE_SECONDS = 60.0
WARM_UP = 0.04
DECAY = 0.998
"""Weight of the past in the average of the weights, which is what is stored."""

OnProgress = Callable[[float, str], None]


class Trainer(ABC):
    """Nets, their optimizers, and one step.

    Attributes:
        nets: modules by name; the one called `kept` is stored, as the average over its steps.
        optimizers: Adam optimizers by name.
        batch: pictures in a step.
        peak: the largest learning rate.
    """

    nets: dict[str, nn.Module]
    optimizers: dict[str, torch.optim.Optimizer]
    batch: int = 16
    peak: float = 5e-4

    @abstractmethod
    def step(self, pictures: torch.Tensor, done: float) -> dict[str, float]:
        """One update on pictures (B, 3, S, S) in [-1, 1].

        Args:
            pictures: on the nets' device.
            done: used share of the budget.

        Returns:
            The losses by name.
        """

    def descend(self, name: str, loss: torch.Tensor, rate: float) -> None:
        """One step of the optimizer `name`, with the gradient cut to length 1."""
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        owned = [p for group in optimizer.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(owned, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()

    def rate(self, done: float) -> float:
        """The learning rate: a linear rise, then half a cosine to 0."""
        if done < WARM_UP:
            return self.peak * (0.02 + 0.98 * done / WARM_UP)
        return self.peak * 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))


@dataclass
class Course:
    """How far a training is.

    Attributes:
        seconds: time used.
        steps: number of steps.
    """

    seconds: float = 0.0
    steps: int = 0

    def done(self, minutes: float) -> float:
        """The used share of the budget."""
        return min(1.0, self.seconds / max(60 * minutes, 1e-9)) if self.steps else 0.0


def train(
    trainer: Trainer,
    pixels: torch.Tensor,
    folder: Path,
    request: dict[str, Any],
    *,
    minutes: float,
    device: torch.device,
    on_progress: OnProgress,
) -> dict[str, torch.Tensor]:
    """Steps until the budget is used up; at least one.

    Where `folder` has a checkpoint of the same request, the training continues from it. A
    checkpoint is written every `SAVE_SECONDS`, at the end, and when the training is interrupted.

    Args:
        trainer: the nets, on the device.
        pixels: (N, 3, S, S) uint8.
        folder: for the checkpoint.
        request: what the weights depend on, as plain data.
        minutes: the budget, over all runs.
        device: of the nets.
        on_progress: called with the used share of the budget and the losses.

    Returns:
        The averaged state of the net `kept`.

    Raises:
        Conflict: if the checkpoint is of another request.
        StoreCorrupt: if the checkpoint is damaged.
    """
    average = {name: value.detach().clone() for name, value in _kept(trainer).items()}
    course = _resumed(trainer, average, folder, request)
    rows = torch.Generator().manual_seed(course.steps)
    saved = time.monotonic()
    try:
        while course.done(minutes) < 1:
            started = time.monotonic()
            picked = torch.randint(len(pixels), (trainer.batch,), generator=rows)
            pictures = as_stimuli(pixels[picked]) * 2 - 1
            flipped = torch.rand(trainer.batch, generator=rows) < 0.5
            pictures[flipped] = pictures[flipped].flip(3)
            losses = trainer.step(pictures.to(device), course.done(minutes))
            course.steps += 1
            _follow(average, _kept(trainer), course.steps)
            course.seconds += time.monotonic() - started
            told = " ".join(f"{name} {value:.3g}" for name, value in losses.items())
            on_progress(course.done(minutes), f"step {course.steps} {told}")
            if time.monotonic() - saved > SAVE_SECONDS:
                _save(trainer, average, folder, request, course)
                saved = time.monotonic()
    finally:
        _save(trainer, average, folder, request, course)
    return average


def _kept(trainer: Trainer) -> dict[str, torch.Tensor]:
    return trainer.nets["kept"].state_dict()


@torch.no_grad()
def _follow(average: dict[str, torch.Tensor], state: dict[str, torch.Tensor], steps: int) -> None:
    decay = min(DECAY, (1 + steps) / (10 + steps))  # the first weights are forgotten soon
    for name, value in state.items():
        if average[name].is_floating_point():
            average[name].lerp_(value.detach(), 1 - decay)
        else:
            average[name].copy_(value)


def _save(
    trainer: Trainer,
    average: dict[str, torch.Tensor],
    folder: Path,
    request: dict[str, Any],
    course: Course,
) -> None:
    states = {f"net.{name}": net.state_dict() for name, net in trainer.nets.items()}
    states |= {
        f"optimizer.{name}": checkpoints.optimizer_state(one)
        for name, one in trainer.optimizers.items()
    }
    facts = {"request": request, "seconds": course.seconds, "steps": course.steps}
    checkpoints.write(folder, {**states, "average": average}, facts)


def _resumed(
    trainer: Trainer, average: dict[str, torch.Tensor], folder: Path, request: dict[str, Any]
) -> Course:
    found = checkpoints.read(folder)
    if found is None:
        return Course()
    states, facts = found
    if facts["request"] != request:
        differing = [key for key in request if facts["request"].get(key) != request[key]]
        raise Conflict(
            f"{folder / checkpoints.FILE} is of another training (other {', '.join(differing)}); "
            "name another folder, or delete this file"
        )
    for name, net in trainer.nets.items():
        net.load_state_dict(states[f"net.{name}"])
    for name, optimizer in trainer.optimizers.items():
        checkpoints.set_optimizer_state(optimizer, states.get(f"optimizer.{name}", {}))
    for name, value in states["average"].items():
        average[name].copy_(value)
    return Course(float(facts["seconds"]), int(facts["steps"]))
