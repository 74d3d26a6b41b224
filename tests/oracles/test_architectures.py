"""Every unit that is listed equals the value at the axis that a person would name."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from blackbox_am.core.units import Unit
from blackbox_am.oracles.torch.torch_module import TorchModule
from tests.oracles.architectures.attention import ATTENTION
from tests.oracles.architectures.images import IMAGES
from tests.oracles.architectures.outputs import OUTPUTS
from tests.oracles.architectures.pretrained import PRETRAINED
from tests.oracles.architectures.sequences import SEQUENCES
from tests.oracles.architectures.spiking import SPIKING
from tests.oracles.architectures.table import Architecture
from tests.oracles.architectures.truth import by_unit, expected_of, heard, layout_of, stimuli
from tests.oracles.architectures.writes import WRITES

OWN = {**IMAGES, **SEQUENCES, **OUTPUTS, **ATTENTION, **WRITES, **SPIKING}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """These networks are so small that threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def check(architecture: Architecture, oracle: object, model: nn.Module, x: torch.Tensor) -> None:
    info = oracle.describe()
    names = [layer.name for layer in info.layers]
    assert len(set(names)) == len(names)
    unaddressable = {one.name: one.reason for one in info.unaddressable}
    assert not info.notes
    for name in architecture.absent:
        assert name in unaddressable
    found, output = heard(model, x)
    for name in [*found, *architecture.keys]:
        assert name in names or name in unaddressable, f"{name} is left out"
    weights = "none of its axes grows with the number of stimuli"
    missing = {name for name in found if unaddressable.get(name, weights) != weights}
    assert missing <= {*architecture.absent}
    wrong = []
    asked = [Unit(layer.name, index) for layer in info.layers for index in range(layer.units)]
    with torch.no_grad():
        answer = oracle.observe(stimuli(architecture.shape), asked).to(torch.float64)
    start = 0
    for layer in info.layers:
        values = answer[:, start : start + layer.units]
        start += layer.units
        layout = layout_of(architecture, layer.name)
        if layout == "heads":
            continue  # heads have tests of their own
        expected = by_unit(expected_of(architecture, layer.name, found, output), layout)
        close = values.shape == expected.shape and torch.allclose(
            values, expected, rtol=1e-4, atol=1e-5
        )
        if not close:
            wrong.append((layer.name, layer.shape, layer.axes, layout))
    assert not wrong


@pytest.mark.parametrize("name", OWN)
def test_every_unit_of_a_torch_net(name: str) -> None:
    every_unit_is_right(OWN[name])


def every_unit_is_right(architecture: Architecture) -> None:
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        model = architecture.make().eval()
    oracle = TorchModule(model, architecture.shape, device="cpu")
    x = stimuli(architecture.shape)
    weights = next((p for p in model.parameters()), None)
    check(architecture, oracle, model, x if weights is None else x.to(weights.dtype))


@pytest.mark.parametrize("name", PRETRAINED)
def test_every_unit_of_an_architecture_of_transformers(name: str) -> None:
    pytest.importorskip("transformers")
    every_unit_is_right(PRETRAINED[name])
