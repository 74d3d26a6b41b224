"""Networks that write what they compute into tensors made before: `buffer[:, i] = f(x)`."""

from __future__ import annotations

import torch
from torch import nn

from tests.oracles.architectures.table import IMAGE, Architecture


class Columns(nn.Module):
    """One unit after the other, each by a layer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.parts = nn.ModuleList(nn.Linear(4, 1) for _ in range(5))
        self.written = nn.Identity()
        self.head = nn.Linear(5, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = self.conv(x).mean((2, 3))
        buffer = x.new_zeros(len(x), 5)
        for i, part in enumerate(self.parts):
            buffer[:, i] = part(pooled)[:, 0]
        return self.head(self.written(buffer))


class Interleaved(nn.Module):
    """Even units by one convolution, odd ones by another."""

    def __init__(self) -> None:
        super().__init__()
        self.even = nn.Conv2d(3, 4, 3, padding=1)
        self.odd = nn.Conv2d(3, 4, 3, padding=1)
        self.written = nn.Identity()
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        buffer = x.new_empty(len(x), 8, *x.shape[2:])
        buffer[:, ::2] = self.even(x)
        buffer[:, 1::2] = self.odd(x)
        return self.act(self.written(buffer))


class Steps(nn.Module):
    """A recurrence whose steps are written into a buffer, stimuli first or time first."""

    def __init__(self, *, time_first: bool) -> None:
        super().__init__()
        self.time_first = time_first
        self.cell = nn.GRUCell(4, 6)
        self.written = nn.Identity()
        self.act = nn.Tanh()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows, _, steps = x.shape
        hidden = x.new_zeros(rows, 6)
        buffer = x.new_zeros((steps, rows, 6) if self.time_first else (rows, steps, 6))
        for i in range(steps):
            hidden = self.cell(x[:, :, i], hidden)
            if self.time_first:
                buffer[i] = hidden
            else:
                buffer[:, i] = hidden
        return self.act(self.written(buffer))


WRITES: dict[str, Architecture] = {
    "columns": Architecture(Columns, IMAGE, {"conv": "NCHW", ".*": "NC"}),
    "interleaved": Architecture(Interleaved, IMAGE, {".*": "NCHW"}),
    "steps": Architecture(lambda: Steps(time_first=False), (4, 7), {"cell": "NC", ".*": "NTC"}),
    "steps_first": Architecture(
        lambda: Steps(time_first=True), (4, 7), {"cell": "NC", ".*": "TNC"}
    ),
}
