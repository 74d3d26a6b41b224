"""The same networks as programs and as ONNX graphs: every unit that a module has reads alike."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from blackbox_am.core.oracle import Oracle
from blackbox_am.core.units import Unit
from blackbox_am.oracles.onnx import Onnx
from blackbox_am.oracles.torch.torch_module import TorchModule
from tests.oracles.architectures.attention import ATTENTION
from tests.oracles.architectures.images import IMAGES
from tests.oracles.architectures.outputs import OUTPUTS
from tests.oracles.architectures.sequences import SEQUENCES
from tests.oracles.architectures.table import Architecture
from tests.oracles.architectures.truth import (
    ROWS,
    by_unit,
    expected_of,
    heard,
    layout_of,
    stimuli,
)

NETS = {**IMAGES, **SEQUENCES, **OUTPUTS, **ATTENTION}
ONNX = {
    "resnet": 8,
    "convnext": 10,
    "windows": 4,
    "openai_vit": 4,
    "mixer": 9,
    "unet": 4,
    "autoencoder": 6,
    "standardised": 4,
    "ecg_lstm": 2,
    "pointnet": 2,
    "causal": 2,
    "clips": 3,
    "one_number": 3,
    "bert": 7,
    "normed_heads": 9,
    "vit": 6,
    "cross": 9,
    "head_windows": 7,
}
"""Networks that the exporter takes, and how many of their modules are to be found at least."""
PER_HEAD = {
    "bert": {"softmax"},
    "normed_heads": {"softmax", "q_norm", "k_norm"},
    "vit": {"q_norm", "k_norm"},
    "cross": {"softmax", "q_norm", "k_norm"},
    "head_windows": {"softmax", "q_norm", "k_norm"},
}
"""Modules of an attention whose output has an axis of heads, and which the exporter keeps."""
PROGRAMS = (
    "resnet",
    "convnext",
    "windows",
    "openai_vit",
    "mixer",
    "unet",
    "autoencoder",
    "einsum",
    "vit",
    "cross",
    "selective",
    "rearranged",
    "pooled_tokens",
    "per_head",
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # a trace would hold one operation for all
    yield
    torch.backends.mha.set_fastpath_enabled(fused)
    torch.set_num_threads(before)


def made(architecture: Architecture) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return architecture.make().eval()


def exported(model: nn.Module, shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is a newer exporter
        torch.onnx.export(
            model,
            (torch.rand(ROWS, *shape),),
            file,
            dynamo=False,
            input_names=["x"],
            output_names=["y"],
        )
    return file.getvalue()


def module_of(layer: str) -> str:
    """The module in which the exporter says that a tensor was computed."""
    parts: list[str] = []
    for part in layer.split(".")[:-1]:
        # Members of a list are called `blocks.blocks.0`, the list and then its member.
        parts.append(part)
        half = len(parts) // 2
        if half and parts[-half:] == parts[-2 * half : -half]:
            del parts[-half:]
    return ".".join(parts)


def all_of(oracle: Oracle, layer: str, units: int, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return oracle.observe(x, [Unit(layer, index) for index in range(units)]).double()


@pytest.mark.parametrize("name", ONNX)
def test_onnx_tensors_are_what_the_modules_put_out(name: str) -> None:
    architecture = NETS[name]
    model = made(architecture)
    x = stimuli(architecture.shape)
    found, output = heard(model, x)
    oracle = Onnx(exported(model, architecture.shape), threads=1)
    layers = {layer.name: layer for layer in oracle.describe().layers}
    right = set()
    for layer in layers.values():
        module = "output" if layer.name == "y" else module_of(layer.name)
        if module not in found and module != "output":
            continue
        values = all_of(oracle, layer.name, layer.units, x)
        expected = by_unit(
            expected_of(architecture, module, found, output), layout_of(architecture, module)
        )
        if values.shape == expected.shape and torch.allclose(
            values, expected, rtol=1e-3, atol=1e-4
        ):
            right.add(module)
    assert "output" in right
    assert len(right) > ONNX[name], sorted(right)
    assert right >= {f"attention.{one}" for one in PER_HEAD.get(name, ())}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("how", ["traced", "exported"])
def test_programs_read_what_the_modules_read(name: str, how: str) -> None:
    architecture = NETS[name]
    model = made(architecture)
    x = stimuli(architecture.shape)
    if how == "traced":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the number of rows is fixed in the trace
            program = torch.jit.trace(model, x)
    else:
        program = torch.export.export(model, (x,))
    oracle = TorchModule(program, architecture.shape, device="cpu", rows=ROWS)
    found, output = heard(model, x)
    layers = [one for one in oracle.describe().layers if not re.search(r"heads\.", one.name)]
    assert not oracle.describe().notes
    assert len(layers) > 4
    for layer in layers:
        values = all_of(oracle, layer.name, layer.units, x)
        expected = by_unit(
            expected_of(architecture, layer.name, found, output),
            layout_of(architecture, layer.name),
        )
        torch.testing.assert_close(values, expected, rtol=1e-3, atol=1e-4)
