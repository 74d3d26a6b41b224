"""Parts of every training: time budget, weight average, mixed precision, progress bar."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

SEED = 20240229


@dataclass(frozen=True)
class Job:
    """Options of one training, as given on the command line.

    Attributes:
        data: Folder of the npz files.
        out: Folder to write weights and metadata to.
        teacher: Weights of the distillation teacher; ``None`` trains without it.
        minutes: Time budget; the learning rate reaches zero at its end.
        epochs: Largest number of passes over the images; the limit that is reached first ends
            the training.
        device: Device of the computation.
        resume: Start from the weights in ``out`` if there are any.
    """

    data: Path
    out: Path
    teacher: Path | None
    minutes: float
    epochs: int
    device: torch.device
    resume: bool = False


class Budget:
    """Counts time and steps and computes the completed fraction of the training."""

    def __init__(self, minutes: float, steps: int, seconds: float = 0.0, step: int = 0) -> None:
        """Start the clock; ``steps`` is the largest number of steps.

        A resumed training passes the ``seconds`` and the ``step`` of its checkpoint.
        """
        self._start = time.monotonic() - seconds
        self._seconds = max(minutes * 60.0, 1e-9)
        self._steps = max(steps, 1)
        self.step = step

    @property
    def seconds(self) -> float:
        """Time used."""
        return time.monotonic() - self._start

    @property
    def done(self) -> float:
        """Used fraction of the budget, from 0 to 1: the larger of those of time and steps."""
        by_time = self.seconds / self._seconds
        return min(1.0, max(by_time, self.step / self._steps))

    def rate(self, peak: float, warm_up: float = 0.04) -> float:
        """Current learning rate: a linear rise during ``warm_up``, then half a cosine to 0."""
        done = self.done
        if done < warm_up:
            return peak * (0.02 + 0.98 * done / warm_up)
        return peak * 0.5 * (1.0 + math.cos(math.pi * (done - warm_up) / (1.0 - warm_up)))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def descend(
    optimizer: torch.optim.Optimizer, loss: Tensor, rate: float, longest: float = math.inf
) -> None:
    """Perform one optimizer step at a learning rate, with the gradient's norm clipped."""
    set_rate(optimizer, rate)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if longest < math.inf:
        owned = [p for group in optimizer.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(owned, longest)
    optimizer.step()


class Average:
    """Exponential moving average of a module's floating-point state.

    Args:
        module: The module to follow.
        decay: Weight of the past. It is lower during the first steps, so that the initial
            weights lose their influence.
    """

    def __init__(self, module: nn.Module, decay: float = 0.995) -> None:
        self._decay = decay
        self._count = 0
        self.state = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Update the average with the module's current state."""
        self._count += 1
        decay = min(self._decay, (1 + self._count) / (10 + self._count))
        for name, value in module.state_dict().items():
            kept = self.state[name]
            if kept.is_floating_point():
                kept.lerp_(value.detach(), 1.0 - decay)
            else:
                kept.copy_(value)


def batches(count: int, size: int, device: torch.device) -> Iterator[Tensor]:
    """Index tensors ``(size,)`` of one pass over ``count`` images in random order.

    Images that do not fill the last batch are left out, unless there is only one batch.
    """
    order = torch.randperm(count, device=device)
    size = min(size, count)
    for start in range(0, count - size + 1, size):
        yield order[start : start + size]


def half_precision(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 autocast: twice as fast on GPUs and on processors with matrix units."""
    return torch.autocast(device.type, torch.bfloat16)


Net = TypeVar("Net", bound=nn.Module)


def channels_last(net: Net) -> Net:
    """The same module with channels-last convolution weights, which are fastest on processors."""
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net


class Report:
    """A progress bar over the budget, and one permanent line for each epoch."""

    def __init__(self, title: str) -> None:
        """Create a bar with this name; use the object as a context manager."""
        self._bar = Progress(
            TextColumn(title), BarColumn(), TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(), TextColumn("{task.fields[state]}"),
        )  # fmt: skip
        self._task = self._bar.add_task(title, total=1.0, state="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, done: float, state: str) -> None:
        """Move the bar to ``done`` (0 to 1) and show a short state text."""
        self._bar.update(self._task, completed=done, state=state)

    def line(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(text, highlight=False)
