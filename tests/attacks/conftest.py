"""A small linear classifier and inputs that it classifies."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from blackbox_am.core.oracle import Oracle
from blackbox_am.oracles.torch.torch_module import TorchModule

SHAPE = (3, 8, 8)
CLASSES = 4


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(SHAPE)), CLASSES)).eval()


@dataclass(frozen=True)
class Counting(Oracle):
    """Counts the rows that it serves; receives no padding."""

    kind: ClassVar[str] = "counting"
    billable: ClassVar[bool] = True
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"served", "inner"})
    inner: Oracle = field(default_factory=lambda: TorchModule(network(), stimulus_shape=SHAPE))
    served: list[int] = field(default_factory=list)

    def describe(self):
        return self.inner.describe()

    def observe(self, stimuli, units):
        self.served.append(len(stimuli))
        return self.inner.observe(stimuli, units)


@pytest.fixture
def model() -> TorchModule:
    return TorchModule(network(), stimulus_shape=SHAPE)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (12, *SHAPE), np.uint8)


def answers(images: np.ndarray) -> np.ndarray:
    """(N, classes) the classifier's scores."""
    with torch.no_grad():
        return network()(torch.from_numpy(images).float() / 255).numpy()
