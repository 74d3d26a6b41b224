"""Spikes: stimuli as inputs over time, and read-outs of neurons over time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Literal

import torch
from torch import nn

from blackbox_am.core.rng import position_seed

Encoding = Literal["constant", "rate", "latency"]

READOUTS = ("rate", "first_spike", "membrane")
"""Read-outs of a layer of neurons."""


def is_neuron(module: nn.Module) -> bool:
    """Whether a module is a layer of neurons that keep their state, as those of snntorch."""
    return callable(getattr(module, "reset_mem", None)) and hasattr(module, "mem")


def put_to_rest(model: nn.Module) -> None:
    """Puts every neuron of a model to rest.

    `snntorch.utils.reset` looks only at a model's direct children, and then resets all neurons of
    the process, including those of other models.
    """
    for module in model.modules():
        if is_neuron(module):
            module.reset_mem()  # type: ignore[operator]  # is_neuron has looked


def over_time(
    stimuli: torch.Tensor, encoding: Encoding, steps: int, seed: int
) -> Iterator[torch.Tensor]:
    """The input at each step, for stimuli (N, *stimulus).

    ``constant``  the stimulus itself, a current that does not change
    ``rate``      a spike with a probability equal to the value in [0, 1]. The random numbers
                  depend on the seed, the step and the place in the stimulus, and are the same for
                  every stimulus: so an answer is repeatable, and does not depend on the batch
    ``latency``   one spike, at step round((1 - value) (steps - 1)); none for a value of 0
    """
    for step in range(steps):
        if encoding == "constant":
            yield stimuli
        elif encoding == "rate":
            generator = torch.Generator().manual_seed(position_seed(seed, "spikes", step, 0))
            dice = torch.rand(stimuli.shape[1:], generator=generator).to(stimuli.device)
            yield (dice < stimuli).to(stimuli.dtype)
        else:
            when = ((1 - stimuli) * (steps - 1)).round()
            yield ((when == step) & (stimuli > 0)).to(stimuli.dtype)


class Recorder:
    """One read-out of one module, combined over the steps.

    ``mean``         the mean of its output
    ``rate``         the same, of spikes: the firing rate
    ``first_spike``  1 - t / steps for a first spike at step t, from 1 for the first step down;
                     0 if there is none
    ``membrane``     the mean of the membrane potential after each step, before the reset that
                     a spike brings in the next

    Args:
        readout: name of the read-out.
        arranged: puts the stimuli of an output on its first axis; None if it has another
            shape than when the network was described.
    """

    def __init__(
        self, readout: str, arranged: Callable[[torch.Tensor], torch.Tensor | None]
    ) -> None:
        self.readout = readout
        self.arranged = arranged
        self.steps = 0
        self._total: torch.Tensor | None = None

    def record(self, module: nn.Module, output: torch.Tensor) -> None:
        """Takes the output of one step. An output of an unexpected shape is ignored."""
        found = module.mem if self.readout == "membrane" else output
        values = self.arranged(found) if isinstance(found, torch.Tensor) else None
        if values is None:
            return
        if self.readout == "first_spike":
            values = torch.where(values > 0, float(self.steps), math.inf)
        self.steps += 1
        if self._total is None:
            wide = torch.float64 if values.dtype == torch.float64 else torch.float32
            self._total = values.to(wide, copy=True)
        elif self.readout == "first_spike":
            self._total = torch.minimum(self._total, values)
        else:
            self._total += values

    def result(self) -> torch.Tensor | None:
        """(N, *shape) float64 if the network computes in float64, else float32.

        None without a recorded output.
        """
        if self._total is None:
            return None
        if self.readout == "first_spike":
            # Without a spike, the step of the first spike counts as infinite.
            return (1 - self._total / self.steps).clamp_min(0)
        return self._total / self.steps


def together(*hooks: Callable[[nn.Module, torch.Tensor], None]) -> Callable[..., None]:
    """One hook that calls several hooks."""

    def record(module: nn.Module, output: torch.Tensor) -> None:
        for hook in hooks:
            hook(module, output)

    return record
