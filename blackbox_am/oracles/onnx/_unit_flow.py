"""Follows the unit axis through an ONNX graph, node by node."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, ValueInfoProto

from blackbox_am.oracles._marks import (
    Mark,
    Operand,
    kept,
    mark_of,
    of_any,
    of_layer,
    of_pointwise,
    of_product,
    oldest_first,
    selected,
)
from blackbox_am.oracles._probing import Axes, follow

Array = NDArray[np.generic]
RunNode = Callable[[bytes, dict[str, Array]], Sequence[object] | None]
"""Function that runs a serialised model of one node on its inputs; its result is None if the
runtime cannot run it.
"""

CONVOLUTION = re.compile(r"(QLinear|Fused|Nhwc)?Conv(Transpose|Integer)?")
LINEAR = re.compile(r"Gemm|QGemm|.*MatMul.*")
NORM = re.compile(r".*Normalization|LRN")
ACTIVATION = re.compile(
    r"(QLinear)?(Leaky|P|Thresholded)?Relu|(H|Fast|Bias|Quick)?Gelu|Elu|Selu|Celu|Mish|Swish"
    r"|(QLinear)?(Hard)?Sigmoid|HardSwish|Tanh|Softplus|Softsign|(Log)?(QLinear)?Softmax"
)
_POINTWISE = re.compile(
    r"Add|Sub|Mul|Div|Pow|Sqrt|Exp|Log|Abs|Neg|Reciprocal|Erf|Clip|Min|Max|Where|Cast|Identity"
    r"|Dropout|Sign|Floor|Ceil|Round|Sin|Cos|Not|And|Or|Equal|Less|Greater|QLinear(Add|Mul)"
    r"|(De|Dynamic)?[qQ]uantizeLinear|DequantizeLinear"
)
_BY_CHANNEL = re.compile(r"(Batch|Instance|Group)Normalization|LRN")
_LAST = re.compile(r"(Skip)?(Simplified|RMS)?(Layer|RMS)Normalization|LSTM|GRU|RNN")


class GraphFlow:
    """Marks every tensor of a graph that depends on the stimuli, from the values of all tensors.

    Args:
        model: the model.
        values: every tensor that nodes read or write, by name, including weights.
        run: runs a model of one node.
    """

    def __init__(self, model: ModelProto, values: Mapping[str, Array], run: RunNode) -> None:
        self.model = model
        self.values = values
        self.run = run
        self.marks: dict[str, Mark] = {}
        self.class_lengths: dict[str, frozenset[int]] = {}
        self._lengths: set[int] = set()

    def follow(self, stimuli: str, channels: int) -> None:
        """Marks all tensors, in the order of the computation.

        Args:
            stimuli: the name of the graph's input.
            channels: the axis of their channels, a guess for layers before the first weights.
        """
        self.marks = {stimuli: Mark((channels,), weak=True)}
        for birth, node in enumerate(self.model.graph.node, start=1):
            operands = [
                Operand(place, _tensor(self.values[name]), self.marks.get(name), constant=True)
                for place, name in enumerate(node.input)
                if name in self.values
            ]
            if not any(operand.mark is not None for operand in operands):
                continue
            self._settle(node)
            for place, name in enumerate(node.output):
                if name not in self.values:
                    continue
                out = _tensor(self.values[name])
                mark = self._mark(node, operands, place, out)
                mark.class_axis = _class_axis(node, operands, mark, out)
                if mark.class_axis is not None:
                    self._lengths.add(out.shape[mark.class_axis])
                mark.birth = mark.birth or birth
                self.marks[name] = mark
                self.class_lengths[name] = frozenset(self._lengths)

    def _settle(self, node: NodeProto) -> None:
        """Channels stand on axis 1 of what a convolution reads, whatever was guessed before."""
        read = self.marks.get(node.input[0])
        plain = CONVOLUTION.fullmatch(node.op_type) and node.op_type != "NhwcFusedConv"
        if plain and read is not None and read.weak:
            read.axes, read.weak = (1,), False

    def _mark(
        self, node: NodeProto, operands: Sequence[Operand], place: int, out: torch.Tensor
    ) -> Mark:
        marked = oldest_first(operands)

        def followed(operand: Operand) -> Axes | None:
            return self._followed(node, operand, place, out)

        op = node.op_type
        if CONVOLUTION.fullmatch(op):
            return Mark((1,)) if op != "NhwcFusedConv" else Mark((out.ndim - 1,))
        if LINEAR.fullmatch(op):
            left, right = ([one for one in operands if one.tensor.ndim > 1] + [None, None])[:2]
            if left and right and op != "Gemm":
                if right.mark is None and right.tensor.ndim == 2:
                    return of_layer(left, out)  # with weights, it may sum over tokens
                return of_product(left, right, out, followed)
            return Mark((out.ndim - 1,))
        if _BY_CHANNEL.fullmatch(op) and out.ndim > 1:
            return kept(marked[0], out, (1,))
        if _LAST.fullmatch(op):
            return kept(marked[0], out, (out.ndim - 1,))
        rearranged = self._rearranged(node, operands, out)
        if rearranged is not None:
            return rearranged
        if (ACTIVATION.fullmatch(op) or _POINTWISE.fullmatch(op)) and place == 0:
            return of_pointwise(marked, out)
        return of_any(marked, out, followed)

    def _rearranged(
        self, node: NodeProto, operands: Sequence[Operand], out: torch.Tensor
    ) -> Mark | None:
        """The mark of a transposed tensor, or of a part that is cut from a tensor; None for other
        operations.

        A probe cannot follow a part, because it may have neither the first nor the last unit.
        """
        whole = operands[0]
        if whole.place != 0 or whole.mark is None:
            return None
        if node.op_type == "Transpose":
            return _transposed(node, mark_of(whole), out)
        if node.op_type in ("Split", "Slice"):
            return selected(whole, out, axis=0)
        if node.op_type == "Gather" and self.values[node.input[1]].ndim == 0:
            axis = int(_attribute(node, "axis") or 0)  # type: ignore[arg-type]  # one number
            return selected(whole, out, axis % whole.tensor.ndim)
        return None

    def _followed(
        self, node: NodeProto, operand: Operand, place: int, out: torch.Tensor
    ) -> Axes | None:
        name = node.input[operand.place]
        inputs = {one: self.values[one] for one in node.input if one}
        model = self._alone(node, place)
        if model is None:
            return None

        def again(changed: torch.Tensor) -> torch.Tensor | None:
            found = self.run(model, {**inputs, name: changed.numpy()})
            array = found[0] if found else None
            return _tensor(array) if isinstance(array, np.ndarray) else None

        return follow(again, operand.tensor, mark_of(operand).axes, out)

    def _alone(self, node: NodeProto, place: int) -> bytes | None:
        """A model of this node; None for a node with inner graphs, which read tensors from
        outside.
        """
        if any(one.HasField("g") or one.graphs for one in node.attribute):
            return None
        alone = ModelProto(ir_version=self.model.ir_version)
        alone.opset_import.extend(self.model.opset_import)
        alone.functions.extend(self.model.functions)
        alone.graph.name = "node"
        alone.graph.node.append(node)
        for name in dict.fromkeys(one for one in node.input if one):
            value = ValueInfoProto(name=name)
            array = self.values[name]
            value.type.tensor_type.elem_type = _element_type(array)
            for length in array.shape:
                value.type.tensor_type.shape.dim.add().dim_value = length
            alone.graph.input.append(value)
        alone.graph.output.append(ValueInfoProto(name=node.output[place]))
        serialised: bytes = alone.SerializeToString()
        return serialised


def _tensor(array: Array) -> torch.Tensor:
    return torch.from_numpy(np.array(array)) if array.dtype.kind in "fiub" else torch.empty(0)


def _element_type(array: Array) -> int:
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(array.dtype))


def _attribute(node: NodeProto, name: str) -> list[int] | int | None:
    for one in node.attribute:
        if one.name == name:
            return list(one.ints) if one.ints else int(one.i)
    return None


def _transposed(node: NodeProto, mark: Mark, out: torch.Tensor) -> Mark:
    order = _attribute(node, "perm")
    if not isinstance(order, list):
        order = list(range(out.ndim))[::-1]
    return replace(mark, axes=tuple(sorted(order.index(axis) for axis in mark.axes)))


def _class_axis(
    node: NodeProto, operands: Sequence[Operand], mark: Mark, out: torch.Tensor
) -> int | None:
    """The axis on which a learned token is put before the tokens of the stimulus."""
    if node.op_type != "Concat" or out.ndim < 3 or not mark.axes or mark.weak:
        return None
    axis = int(_attribute(node, "axis") or 0) % out.ndim  # type: ignore[arg-type]  # one number
    first = operands[0]
    token = first.mark is None and first.tensor.ndim == out.ndim and first.tensor.shape[axis] == 1
    learned = token and bool(first.tensor.any())
    return axis if learned and axis not in mark.axes else None
