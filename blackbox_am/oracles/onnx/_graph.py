"""An ONNX graph as a set of readable tensors. Needs the package `onnx`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

from blackbox_am.errors import InvalidSpec

# The outputs of these operations depend on the size of a tensor, not on its values.
_SHAPES = {"Shape", "Size"}
_RANDOM = {
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
}


@dataclass(frozen=True)
class GraphInput:
    """The input for stimuli.

    Attributes:
        name: in the graph.
        dtype: an element type of `TensorProto`.
        rows: number of rows that the input takes, or None for any number.
        shape: of one stimulus, None if the graph leaves a length open.
    """

    name: str
    dtype: int
    rows: int | None
    shape: tuple[int | None, ...]

    @property
    def type_name(self) -> str:
        """The name of the element type, such as `int64`."""
        import onnx

        return str(onnx.TensorProto.DataType.Name(self.dtype)).lower()


class OnnxGraph:
    """A model with one input, the tensors of which can be listed and read.

    Args:
        model: the model.
        rows: number of rows of a run, if the input leaves the number open.

    Raises:
        InvalidSpec: if the model has more than one input, or if the input is not a batch or has
            another number of rows.
    """

    def __init__(self, model: ModelProto, rows: int | None = None) -> None:
        self.model = model
        constants = {tensor.name for tensor in model.graph.initializer}
        inputs = [value for value in model.graph.input if value.name not in constants]
        if len(inputs) != 1:
            names = ", ".join(repr(value.name) for value in inputs) or "none"
            raise InvalidSpec(
                f"model: expected an ONNX graph with one input, the stimuli, got {names}; "
                "make the others constants of the graph",
                field="model",
            )
        self.input = _input(inputs[0])
        if rows is not None and self.input.rows not in (None, rows):
            raise InvalidSpec(
                f"rows: the graph takes {self.input.rows} rows at a time, got {rows}; leave it out",
                field="rows",
            )
        self.input = replace(self.input, rows=rows or self.input.rows)

    @cached_property
    def mixes_rows(self) -> bool:
        """Whether the model is quantised dynamically: the whole batch determines the scales."""
        return any(node.op_type.startswith("DynamicQuantize") for node in self._every_node())

    @cached_property
    def deterministic(self) -> bool:
        """Whether no operation draws random numbers."""
        return not any(node.op_type in _RANDOM for node in self._every_node())

    def ending_at(self, names: Sequence[str]) -> bytes:
        """The model that computes the tensors `names` and nothing else, serialised.

        Raises:
            InvalidSpec: if the model is above 2 GiB, the limit of the format for one piece.
        """
        graph = self.model.graph
        wanted, nodes = set(names), []
        for node in reversed(graph.node):
            if wanted.intersection(node.output):
                nodes.append(node)
                wanted.update(_needs(node))
        cut = ModelProto()
        cut.CopyFrom(_without_graph(self.model))
        cut.graph.name = graph.name
        cut.graph.node.extend(reversed(nodes))
        cut.graph.input.extend(value for value in graph.input if value.name in wanted)
        if self.input.name not in wanted:
            cut.graph.input.extend(v for v in graph.input if v.name == self.input.name)
        cut.graph.initializer.extend(t for t in graph.initializer if t.name in wanted)
        cut.graph.sparse_initializer.extend(
            t for t in graph.sparse_initializer if t.values.name in wanted
        )
        declared = {value.name: value for value in graph.output}
        for name in names:
            cut.graph.output.append(declared.get(name, ValueInfoProto(name=name)))
        try:
            return cut.SerializeToString()
        except ValueError as error:
            raise InvalidSpec(
                f"model: up to {names[0]!r} it is above 2 GiB, which an ONNX model in memory "
                "cannot be; quantise it, or serve it with a program of its own",
                field="model",
            ) from error

    def makers(self) -> dict[str, NodeProto]:
        """Every tensor that depends on the stimuli, with the node that makes it."""
        dependent = {self.input.name}
        makers = {}
        for node in self.model.graph.node:
            if node.op_type not in _SHAPES and dependent.intersection(_needs(node)):
                named = [name for name in node.output if name]
                dependent.update(named)
                makers.update(dict.fromkeys(named, node))
        return makers

    def _every_node(self) -> Iterator[NodeProto]:
        pending = [*self.model.graph.node]
        for function in self.model.functions:
            pending.extend(function.node)
        while pending:
            node = pending.pop()
            yield node
            for inner in _inner_graphs(node):
                pending.extend(inner.node)


def _input(value: ValueInfoProto) -> GraphInput:
    tensor = value.type.tensor_type
    axes = [axis.dim_value if axis.HasField("dim_value") else None for axis in tensor.shape.dim]
    if len(axes) < 2:
        raise InvalidSpec(
            f"model: expected an input of stimuli in rows, got {value.name!r} with "
            f"{len(axes)} axes",
            field="model",
        )
    # Some exporters write 0 or -1 for a length left open.
    lengths = [length if length is not None and length > 0 else None for length in axes]
    return GraphInput(value.name, tensor.elem_type, lengths[0], tuple(lengths[1:]))


def _needs(node: NodeProto) -> set[str]:
    """The tensors that a node reads, including outer tensors that its inner graphs read."""
    needed = {name for name in node.input if name}
    for graph in _inner_graphs(node):
        own = {value.name for value in graph.input} | {t.name for t in graph.initializer}
        inner: set[str] = {value.name for value in graph.output}
        for step in graph.node:
            inner |= _needs(step)
            own.update(step.output)
        needed |= inner - own
    return needed


def _inner_graphs(node: NodeProto) -> list[GraphProto]:
    """The bodies of an If, a Loop or a Scan."""
    graphs = []
    for attribute in node.attribute:
        if attribute.HasField("g"):
            graphs.append(attribute.g)
        graphs.extend(attribute.graphs)
    return graphs


def _without_graph(model: ModelProto) -> ModelProto:
    bare = ModelProto(ir_version=model.ir_version)
    bare.opset_import.extend(model.opset_import)
    bare.functions.extend(model.functions)
    bare.metadata_props.extend(model.metadata_props)
    return bare
