"""Finds the readable tensors of an ONNX graph by a few runs on random stimuli."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from blackbox_am.core.types import LayerInfo, Unaddressable
from blackbox_am.errors import OracleFailed
from blackbox_am.oracles._inputs import channel_axis
from blackbox_am.oracles._layers import layer_name
from blackbox_am.oracles._layout import UNCLEAR, Layout, fixed_axes, marked_axes
from blackbox_am.oracles._probing import row_marks
from blackbox_am.oracles._rows import Seen, find_rows
from blackbox_am.oracles.onnx._unit_flow import ACTIVATION, CONVOLUTION, LINEAR, NORM, GraphFlow

if TYPE_CHECKING:
    from blackbox_am.oracles.onnx._graph import OnnxGraph

ROWS, FEWER = 3, 2
"""Numbers of stimuli in the runs, if the graph accepts these numbers."""

Array = NDArray[np.generic]
Run = Callable[[bytes, Mapping[str, Array]], Sequence[object]]
"""Function that runs a serialised model on inputs by name and returns its outputs. It raises
`OracleFailed` if the model cannot be run.
"""


@dataclass(frozen=True)
class Tensor:
    """One readable tensor.

    Attributes:
        name: in the graph.
        layer: its description.
        layout: the arrangement of stimuli and units.
        class_token: whether its token 0 is a class token.
    """

    name: str
    layer: LayerInfo
    layout: Layout
    class_token: bool


@dataclass(frozen=True)
class Survey:
    """The readable tensors in the order of the computation, and the others with the reason."""

    tensors: tuple[Tensor, ...]
    unaddressable: tuple[Unaddressable, ...]


class Surveyor:
    """Runs a graph, and determines the axes of each of its tensors.

    Args:
        graph: the graph.
        stimuli: function that converts stimuli (N, *stimulus) in [0, 1] into the graph's input.
        shape: of one stimulus.
        channels: the axis of channels in the graph's input.
        run: runs a model.
    """

    def __init__(
        self,
        graph: OnnxGraph,
        stimuli: Callable[[torch.Tensor], Array],
        shape: tuple[int, ...],
        channels: int,
        run: Run,
    ) -> None:
        self.graph = graph
        self.stimuli = stimuli
        self.shape = shape
        self.channels = channels
        self.run = run
        self.rows = graph.input.rows or ROWS
        self._larger: list[dict[str, Array]] = []

    def survey(self, labels: tuple[str, ...]) -> Survey:
        """All tensors that depend on the stimuli.

        Args:
            labels: for outputs of the graph with as many units.
        """
        makers = self.graph.makers()
        generator = torch.Generator().manual_seed(0)
        first = torch.rand(self.rows, *self.shape, generator=generator)
        other = first.clone()
        row = min(1, self.rows - 1)
        other[row] = torch.rand(self.shape, generator=generator)
        every = [name for node in self.graph.model.graph.node for name in node.output if name]
        plain = self._values(every, first)
        changed = self._values(list(makers), other)
        fewer = self._fewer(list(makers), first)
        flow = self._flow(plain)
        tensors, absent = [], []
        taken: set[str] = set()
        outputs = {value.name for value in self.graph.model.graph.output}
        for name, node in makers.items():
            own = layer_name(name, taken)
            values = plain.get(name)
            reason = _unreadable(values)
            if values is None or reason:
                absent.append(Unaddressable(own, reason))
                continue
            rows = find_rows(
                self.rows,
                row,
                _seen(values),
                _seen(changed[name]) if name in changed else None,
                (FEWER, _seen(fewer[name])) if name in fewer else None,
            )
            if isinstance(rows, str):
                absent.append(Unaddressable(own, rows))
                continue
            units = marked_axes(values.shape, rows, flow.marks.get(name))
            if units is None:
                larger = self._when_larger(name, list(makers))
                units = fixed_axes(values.shape, rows, larger)
            if units is None:
                absent.append(Unaddressable(own, UNCLEAR.format(shape=values.shape)))
                continue
            layout = Layout.of(values.shape, rows, units)
            labelled = name in outputs and layout.shape == (len(labels),)
            layer = LayerInfo(
                own,
                _kind(node.op_type, layout.axes),
                layout.shape,
                layout.axes,
                ACTIVATION.fullmatch(node.op_type) is not None,
                labels if labelled else (),
            )
            lengths = flow.class_lengths.get(name, frozenset())
            tensors.append(Tensor(name, layer, layout, layout.has_class_token(lengths)))
        return Survey(tuple(tensors), tuple(absent))

    def _values(self, names: Sequence[str], stimuli: torch.Tensor) -> dict[str, Array]:
        inputs = {self.graph.input.name: self.stimuli(stimuli)}
        found = self.run(self.graph.ending_at(names), inputs)
        return {
            name: value
            for name, value in zip(names, found, strict=True)
            if isinstance(value, np.ndarray)
        }

    def _fewer(self, names: Sequence[str], stimuli: torch.Tensor) -> dict[str, Array]:
        if self.graph.input.rows is not None:
            return {}
        try:
            return self._values(names, stimuli[:FEWER])
        except OracleFailed:
            return {}  # the graph refuses such a batch; the other runs must suffice

    def _when_larger(self, name: str, names: Sequence[str]) -> tuple[int, ...] | None:
        """The shape of a tensor for stimuli of twice the size, if the graph accepts such
        stimuli.
        """
        if not self._larger:
            channel = channel_axis(self.shape)
            sizes = [n if axis <= channel else 2 * n for axis, n in enumerate(self.shape)]
            try:
                more = torch.rand(self.rows, *sizes)
                self._larger.append(self._values(names, more) if sizes != [*self.shape] else {})
            except OracleFailed:
                self._larger.append({})
        found = self._larger[0].get(name)
        return found.shape if found is not None else None

    def _flow(self, values: dict[str, Array]) -> GraphFlow:
        model = self.graph.model
        weights = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
        generator = torch.Generator().manual_seed(0)
        stimuli = self.stimuli(torch.rand(self.rows, *self.shape, generator=generator))

        def alone(node: bytes, inputs: Mapping[str, Array]) -> Sequence[object] | None:
            try:
                return self.run(node, inputs)
            except OracleFailed:
                return None  # the operation does not accept the changed input: no result

        flow = GraphFlow(model, {**weights, **values, self.graph.input.name: stimuli}, alone)
        flow.follow(self.graph.input.name, self.channels)
        return flow


def _seen(values: Array) -> Seen:
    return Seen(values.shape, row_marks(torch.from_numpy(np.array(values, np.float64))))


def _unreadable(values: Array | None) -> str:
    if values is None or values.dtype.kind not in "fiu":
        return "it holds no numbers"
    if values.ndim == 0:
        return "it is one number for the whole batch"
    return "" if values.size else "it is empty"


def _kind(op: str, axes: tuple[str, ...]) -> str:
    for pattern, kind in (
        (CONVOLUTION, "conv"),
        (LINEAR, "linear"),
        (NORM, "norm"),
        (ACTIVATION, "activation"),
    ):
        if pattern.fullmatch(op):
            return kind
    return "tokens" if "token" in axes else "other"
