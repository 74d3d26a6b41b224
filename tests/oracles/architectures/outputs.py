"""Networks by what they return, and by how their modules are called."""

from __future__ import annotations

import dataclasses
from collections import namedtuple

import torch
from torch import nn

from tests.oracles.architectures.table import IMAGE, Architecture


class Age(nn.Module):
    """One number a picture, (N,)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(768, 6), nn.ReLU())
        self.head = nn.Linear(6, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 100 * torch.sigmoid(self.head(self.body(x)).squeeze(-1))


@dataclasses.dataclass
class Record:
    logits: torch.Tensor
    maps: dict[str, torch.Tensor]


Pair = namedtuple("Pair", ["scores", "features"])  # noqa: PYI024  # noqa: PYI024


class Outputs(nn.Module):
    """Everything that a model may return."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> object:
        maps = self.conv(x)
        means = maps.mean((2, 3))
        return {
            "dict": {"logits": means, "aux/edge": {"map": maps.permute(0, 2, 3, 1)}},
            "record": Record(means, {"last:one": maps}),
            "pair": Pair(means, [maps, means.unsqueeze(0)]),
        }[self.how]


class OddNames(nn.Module):
    """Names as DCGAN code has them, and a module called like the model's output."""

    def __init__(self) -> None:
        super().__init__()
        self.add_module("initial:3-8:conv", nn.Conv2d(3, 8, 4))
        self.add_module('act 1@"x"', nn.ReLU())
        self.output = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for module in list(self.children())[:2]:
            x = module(x)
        return self.output(x.mean((2, 3))).softmax(1)


class Experts(nn.Module):
    """A mixture of experts, each row going through those that its gate chooses."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(6, 3)
        self.experts = nn.ModuleList(nn.Linear(6, 4) for _ in range(3))
        self.mixed = nn.Identity()
        self.head = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = self.gate(x).softmax(-1)
        each = torch.stack([expert(x) for expert in self.experts], 1)
        return self.head(self.mixed((weights.unsqueeze(-1) * each).sum(1)))


OUTPUTS: dict[str, Architecture] = {
    "one_number": Architecture(Age, IMAGE, {"output": "N", ".*": "NC"}),
    "dict": Architecture(
        lambda: Outputs("dict"),
        IMAGE,
        {"conv": "NCHW", "output": "NC", r"output\.aux/edge\.map": "NHWC"},
        keys={"output.aux/edge.map": lambda out: out["aux/edge"]["map"]},
    ),
    "record": Architecture(
        lambda: Outputs("record"),
        IMAGE,
        {"conv": "NCHW", "output": "NC", r"output\.maps\.last:one": "NCHW"},
        keys={"output.maps.last:one": lambda out: out.maps["last:one"]},
    ),
    "pair": Architecture(
        lambda: Outputs("pair"),
        IMAGE,
        {"conv": "NCHW", "output": "NC", r"output\.features\.0": "NCHW", r".*\.1": "_NC"},
        keys={
            "output.features.0": lambda out: out.features[0],
            "output.features.1": lambda out: out.features[1],
        },
    ),
    "odd_names": Architecture(OddNames, IMAGE, {"initial.*|act.*": "NCHW", ".*": "NC"}),
    "experts": Architecture(Experts, (6,), {".*": "NC"}),
}
