"""Derives stimuli and layers from a server's description of a model's tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from blackbox_am.core.types import LayerInfo
from blackbox_am.errors import InvalidSpec, OracleFailed, did_you_mean
from blackbox_am.oracles._layers import AXES, layer_name
from blackbox_am.oracles.inference_protocol._protocol import (
    DATATYPES,
    STIMULI,
    Metadata,
    TensorInfo,
)

Shape = tuple[int, ...]
Probe = Callable[[], Mapping[str, Shape]]

_LAST = {
    1: ("unit",),
    2: ("token", "unit"),
    3: ("height", "width", "unit"),
    4: ("depth", "height", "width", "unit"),
}
"""Axes of the outputs of a model with channels last, by their number."""


@dataclass(frozen=True)
class Input:
    """The input that takes stimuli.

    Attributes:
        name: its name.
        datatype: a name of `STIMULI`.
        stimulus_shape: of one stimulus, (channels, ...) in any case.
        rows: rows that every request must have; None: any number.
        has_rows: whether the first axis is rows. If not, a request has one stimulus.
    """

    name: str
    datatype: str
    stimulus_shape: Shape
    rows: int | None
    has_rows: bool

    def shape_of(self, output: Shape, rows: int) -> Shape | None:
        """Shape of an output for one stimulus, from its shape for `rows`; None if the output has no
        axis of rows.
        """
        if self.has_rows:
            if output[:1] != (rows,):
                return None
            output = output[1:]
        return output or (1,)


@dataclass(frozen=True)
class Output:
    """An output that can be read.

    Attributes:
        name: its name on the server.
        layer: the layer that it is for the oracle.
    """

    name: str
    layer: LayerInfo


def input_of(
    metadata: Metadata,
    name: str,
    datatype: str,
    stimulus_shape: Shape,
    *,
    channels_last: bool,
) -> Input:
    """The input, from the server's description and the operator's parameters. The parameters take
    precedence.

    If the operator gives the shape of a stimulus, this shape decides whether the first axis is
    rows. Otherwise the first axis is rows if its length is open, or if all outputs have the same
    first length.

    Args:
        metadata: the server's description.
        name: of the input, or empty if the model has only one input.
        datatype: of the input, or empty.
        stimulus_shape: of one stimulus, or empty.
        channels_last: whether the server has (..., channels).

    Raises:
        InvalidSpec: if these do not fit together, or are not enough.
    """
    said = _chosen(metadata.inputs, name)
    if said is None:
        if not name or not stimulus_shape:
            raise InvalidSpec(
                "the server says nothing of the model's inputs; give input, stimulus_shape, and "
                "datatype where it is not FP32",
                field="input",
            )
        return Input(name, datatype or "FP32", stimulus_shape, None, has_rows=True)
    own = _turned_back(stimulus_shape) if channels_last else stimulus_shape
    has_rows = _has_rows(said.shape, metadata.outputs, own)
    inner = said.shape[1:] if has_rows else said.shape
    given = own or inner
    fits = len(given) == len(inner) and all(
        length == fixed or fixed < 0 for length, fixed in zip(given, inner, strict=True)
    )
    if not fits or not given or any(length < 1 for length in given):
        known = ", ".join("any" if n < 0 else str(n) for n in said.shape)
        raise InvalidSpec(
            f"stimulus_shape: the input {said.name!r} has the shape ({known}), "
            f"{'rows first' if has_rows else 'without rows'}; got {stimulus_shape or 'none'}",
            field="stimulus_shape",
        )
    kind = datatype or said.datatype
    if kind not in STIMULI:
        raise InvalidSpec(
            f"datatype: the input {said.name!r} takes {kind}; expected one of {', '.join(STIMULI)}",
            field="datatype",
        )
    rows = said.shape[0] if has_rows and said.shape[0] > 0 else None
    shape = (given[-1], *given[:-1]) if channels_last else given
    return Input(said.name, kind, shape, rows, has_rows)


def outputs_of(
    metadata: Metadata,
    taken: Input,
    names: Sequence[str],
    labels: tuple[str, ...],
    probe: Probe,
    *,
    channels_last: bool,
) -> dict[str, Output]:
    """The outputs that can be read, by the name of their layer.

    Args:
        metadata: the server's description.
        taken: the input.
        names: names of outputs; empty reads all numeric outputs.
        labels: for outputs of as many units.
        probe: shapes of outputs for one stimulus, asked where `metadata` leaves them open.
        channels_last: whether outputs have their units last.

    Raises:
        InvalidSpec: for a name that is not an output, or labels that fit no output.
        OracleFailed: if no output can be read.
    """
    for name in names:
        said = _chosen(metadata.outputs, name)
        if said is not None and said.datatype not in DATATYPES:
            raise InvalidSpec(
                f"outputs: {name!r} is {said.datatype}, and no numbers", field="outputs"
            )
    shapes = _shapes(metadata, taken, names)
    if shapes is None:
        found = probe()
        wanted = names or tuple(found)
        missing = [name for name in wanted if name not in found]
        if missing:
            raise InvalidSpec(
                f"outputs: the model gives no {missing[0]!r}{did_you_mean(missing[0], found)}",
                field="outputs",
            )
        shapes = {name: taken.shape_of(found[name], 1) for name in wanted}
    axes = {**AXES, **_LAST} if channels_last else AXES
    layers: dict[str, Output] = {}
    taken_names: set[str] = set()
    for name, shape in shapes.items():
        if shape is None or len(shape) not in axes or 0 in shape:
            continue
        labelled = labels if shape == (len(labels),) else ()
        own = layer_name(name, taken_names)
        kind = "tokens" if "token" in axes[len(shape)] else "output"
        layers[own] = Output(name, LayerInfo(own, kind, shape, axes[len(shape)], labels=labelled))
    if not layers:
        raise OracleFailed(
            f"no output of the model has an entry for each stimulus; it has {shapes or 'none'}"
        )
    if labels and not any(output.layer.labels for output in layers.values()):
        raise InvalidSpec(f"labels: no output has {len(labels)} units", field="labels")
    return layers


def _shapes(
    metadata: Metadata, taken: Input, names: Sequence[str]
) -> dict[str, Shape | None] | None:
    """The shape of each output for one stimulus; None if the server leaves a length open."""
    numeric = [o for o in metadata.outputs if o.datatype in DATATYPES]
    wanted = [o for o in numeric if not names or o.name in names]
    first = -1 if taken.rows is None else taken.rows
    shapes = {o.name: taken.shape_of(o.shape, first) for o in wanted}
    if not shapes or any(shape is None or min(shape) < 0 for shape in shapes.values()):
        return None
    return shapes


def _chosen(tensors: Sequence[TensorInfo], name: str) -> TensorInfo | None:
    """The tensor of that name; None if the server describes no tensors."""
    if not tensors:
        return None
    if not name:
        if len(tensors) > 1:
            names = ", ".join(repr(tensor.name) for tensor in tensors)
            raise InvalidSpec(
                f"input: the model takes {names}; name the one of the stimuli", field="input"
            )
        return tensors[0]
    for tensor in tensors:
        if tensor.name == name:
            return tensor
    near = did_you_mean(name, (tensor.name for tensor in tensors))
    raise InvalidSpec(f"the model has no {name!r}{near}", field="input")


def _has_rows(shape: Shape, outputs: Sequence[TensorInfo], own: Shape) -> bool:
    if own:
        return len(shape) != len(own)
    numeric = [output.shape for output in outputs if output.datatype in DATATYPES]
    return shape[:1] == (-1,) or (
        bool(numeric) and all(other[:1] == shape[:1] for other in numeric)
    )


def _turned_back(shape: Shape) -> Shape:
    return (*shape[1:], *shape[:1])
