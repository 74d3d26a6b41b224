"""The loop of long trainings that can be stopped and resumed: steps, progress, checkpoints."""

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
    """A training that can be resumed after it was stopped.

    Every few minutes, and at the end, the state of nets, optimizers and averages is written to
    ``NAME.checkpoint.safetensors`` in the job's folder. With ``--resume`` the training starts
    from this file and uses the time and steps that were left.

    Args:
        name: Name of the model, as in the names of its files.
        job: Options of the command line.
        nets: Modules by name, on the job's device.
        optimizers: Adam optimizers of the nets' parameters, by name.
        averages: Averages of the nets' weights, by name.
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
            count: Number of training examples.
            batch: Number of examples in a step.
            step: Performs one update on the examples of an index tensor; returns numbers to
                report.
            write: Writes the final weights; its argument is the number of steps so far.
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
        # The resumed part must not repeat the random numbers of the first part.
        torch.manual_seed(SEED + int(numbers["step"]))
        self.budget = Budget(self.job.minutes, steps, numbers["seconds"], int(numbers["step"]))

    def _save(self) -> None:
        states = {f"{name}.net": dict(net.state_dict()) for name, net in self.nets.items()}
        states |= {f"{name}.adam": optimizer_state(o) for name, o in self.optimizers.items()}
        states |= {f"{name}.average": average.state for name, average in self.averages.items()}
        numbers = {"seconds": self.budget.seconds, "step": self.budget.step}
        write_checkpoint(self.path, states, numbers)
