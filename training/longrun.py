"""The loop of trainings that take long and may be stopped: steps, progress, checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from training.checkpoint import (
    optimizer_state,
    read_checkpoint,
    set_optimizer_state,
    write_checkpoint,
)
from training.loop import SEED, Average, Budget, Job, Report, batches

SAVE_SECONDS = 240.0


class LongRun:
    """A training that can go on where it was stopped.

    Every few minutes, and at the end, everything that moves goes to
    ``NAME.checkpoint.safetensors`` in the job's folder; with ``--resume`` it comes from there,
    with the time and steps that were left.

    Args:
        name: What is trained, as in the names of its files.
        job: What the command line asked for.
        nets: Modules by name, on the job's device.
        optimizers: Adams of their parameters, by name.
        averages: Averages of their weights, by name.
    """

    def __init__(
        self,
        name: str,
        job: Job,
        nets: Mapping[str, nn.Module],
        optimizers: Mapping[str, torch.optim.Optimizer],
        averages: Mapping[str, Average],
    ) -> None:
        self.name, self.job = name, job
        self.nets, self.optimizers, self.averages = nets, optimizers, averages
        self.path = job.out / f"{name}.checkpoint.safetensors"
        self.budget = Budget(job.minutes, 1)

    def train(
        self,
        count: int,
        batch: int,
        step: Callable[[Tensor, LongRun], dict[str, float]],
        write: Callable[[int], None],
    ) -> None:
        """Run steps until the budget is used up.

        Args:
            count: How many training examples there are.
            batch: How many of them a step takes.
            step: One update for the examples of an index tensor; returns numbers to report.
            write: Writes the weights to keep; is told how many steps were made.
        """
        self._start(self.job.epochs * max(1, count // batch))
        saved = self.budget.seconds
        with Report(self.name) as report:
            while self.budget.done < 1.0:
                sums: dict[str, float] = {}
                state = ""
                for seen, index in enumerate(batches(count, batch, self.job.device), 1):
                    parts = step(index, self)
                    self.budget.step += 1
                    sums = {name: sums.get(name, 0.0) + value for name, value in parts.items()}
                    state = " ".join(f"{name} {value / seen:.3g}" for name, value in sums.items())
                    report.show(self.budget.done, state)
                    if self.budget.done >= 1.0:
                        break
                report.line(f"step {self.budget.step}, {self.budget.seconds:.0f} s: {state}")
                if self.budget.done >= 1.0 or self.budget.seconds - saved > SAVE_SECONDS:
                    saved = self.budget.seconds
                    self._save()
                    write(self.budget.step)

    def _start(self, steps: int) -> None:
        found = read_checkpoint(self.path) if self.job.resume else None
        if found is None:
            self.budget = Budget(self.job.minutes, steps)
            return
        states, numbers = found
        for name, net in self.nets.items():
            net.load_state_dict(states[f"{name}.net"])
        for name, optimizer in self.optimizers.items():
            set_optimizer_state(optimizer, states[f"{name}.adam"])
        for name, average in self.averages.items():
            kept = states[f"{name}.average"]
            average.state = {key: value.to(self.job.device) for key, value in kept.items()}
        # What follows must not repeat the random numbers of the part before.
        torch.manual_seed(SEED + int(numbers["step"]))
        self.budget = Budget(self.job.minutes, steps, numbers["seconds"], int(numbers["step"]))

    def _save(self) -> None:
        states = {f"{name}.net": dict(net.state_dict()) for name, net in self.nets.items()}
        states |= {f"{name}.adam": optimizer_state(o) for name, o in self.optimizers.items()}
        states |= {f"{name}.average": average.state for name, average in self.averages.items()}
        numbers = {"seconds": self.budget.seconds, "step": self.budget.step}
        write_checkpoint(self.path, states, numbers)
