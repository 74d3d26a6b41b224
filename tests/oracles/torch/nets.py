"""A small net, and short words for oracles on it."""

import torch
from torch import nn

from blackbox_am.core.types import LayerInfo
from blackbox_am.core.units import Unit
from blackbox_am.oracles.torch.torch_module import TorchModule


class Net(nn.Module):
    """A net with an in-place ReLU that runs twice, and a linear head."""

    def __init__(self, inplace: bool = True) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=inplace)
        self.conv2 = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.fc = nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.conv2(self.relu(self.conv1(x))))
        return self.fc(x.mean((2, 3)))


def units(*addresses: str) -> list[Unit]:
    return [Unit.parse(address) for address in addresses]


def of(model: nn.Module, **more: object) -> TorchModule:
    return TorchModule(model, (3, 8, 8), device="cpu", **more)


def layer(oracle: TorchModule, name: str) -> LayerInfo:
    return {layer.name: layer for layer in oracle.describe().layers}[name]
