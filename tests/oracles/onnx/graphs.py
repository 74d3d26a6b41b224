"""Small graphs, and short words for oracles on them."""

from collections.abc import Callable

import onnx
import torch
from onnx import TensorProto, helper
from torch import nn

from blackbox_am.core.units import Unit
from blackbox_am.oracles.onnx import Onnx

Export = Callable[..., bytes]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        nn.init.uniform_(self.norm.running_mean)
        self.fc = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.norm(self.conv(x)).relu().mean((2, 3)))


def units(*addresses: str) -> list[Unit]:
    return [Unit.parse(address) for address in addresses]


def of(model: object, **more: object) -> Onnx:
    return Onnx(model, threads=1, **more)


def graph(nodes: list[onnx.NodeProto], inputs: list[object], outputs: list[object]) -> bytes:
    made = helper.make_graph(nodes, "made", inputs, outputs)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(made, opset_imports=opset, ir_version=9).SerializeToString()


def value(name: str, shape: list[object], dtype: int = TensorProto.FLOAT) -> object:
    return helper.make_tensor_value_info(name, dtype, shape)
