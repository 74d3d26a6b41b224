"""Networks of snntorch with their loop over time inside, as its tutorials write them."""

from __future__ import annotations

import torch
from snntorch import Leaky, Synaptic
from torch import nn

from tests.oracles.architectures.table import IMAGE, Architecture

STEPS = 6


class Dense(nn.Module):
    """Two layers of neurons; spikes and potentials of the second, time first."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(9, 8), Leaky(0.9, threshold=0.3)
        self.fc2, self.lif2 = nn.Linear(8, 5), Leaky(0.8, threshold=0.2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        first, second = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes, potentials = [], []
        for _ in range(STEPS):
            spike, first = self.lif1(self.fc1(x.flatten(1)), first)
            spike, second = self.lif2(self.fc2(spike), second)
            spikes.append(spike)
            potentials.append(second)
        return torch.stack(spikes), torch.stack(potentials)


class TimeMajor(nn.Module):
    """Clips (N, T, C, H, W) that are turned to (T, N, C, H, W): convolutions see the frames of all
    steps at once, neurons one step after the other.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2)
        self.lif = Leaky(0.9, threshold=0.2)
        self.trains = nn.Identity()
        self.pooled = nn.Identity()
        self.head = nn.Linear(4, 5)
        self.last = Synaptic(0.7, 0.9, threshold=0.1)
        self.seen = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        frames = x.transpose(0, 1)
        currents = self.conv(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        potential, spikes = self.lif.init_leaky(), []
        for current in currents:
            spike, potential = self.lif(current, potential)
            spikes.append(spike)
        rates = self.pooled(self.trains(torch.stack(spikes)).mean((3, 4)))
        current, potential = self.last.init_synaptic()
        answers = []
        for step in self.head(rates):
            spike, current, potential = self.last(step, current, potential)
            answers.append(potential)
        return self.seen(torch.stack(answers)).mean(0)


SPIKING: dict[str, Architecture] = {
    "snn_dense": Architecture(
        Dense,
        (1, 3, 3),
        {"output.*": "TNC", ".*": "NC"},
        keys={"output.1": lambda output: output[1]},
    ),
    "snn_time_major": Architecture(
        TimeMajor,
        (STEPS, *IMAGE),
        {
            "conv": "kNCHW",
            "lif.*": "NCHW",
            "trains": "TNCHW",
            "pooled|head|seen": "TNC",
            ".*": "NC",
        },
    ),
}
