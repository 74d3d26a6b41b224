"""An ONNX model, run by ONNX Runtime, with every tensor of its graph readable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.capability import FORWARD
from blackbox_am.core.onnx_session import model_files, open_session
from blackbox_am.core.oracle import Oracle, check_stimuli, check_units
from blackbox_am.core.types import OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import (
    InvalidSpec,
    MissingExtra,
    NotFound,
    OracleFailed,
    OutOfMemory,
    did_you_mean,
)
from blackbox_am.oracles._inputs import (
    channel_axis,
    check_normalisation,
    check_positive,
    checked_numbers,
    checked_shape,
    normalised,
)
from blackbox_am.oracles._reading import LayerReading
from blackbox_am.oracles.onnx._sessions import Sessions

if TYPE_CHECKING:
    from blackbox_am.oracles.onnx._graph import OnnxGraph
    from blackbox_am.oracles.onnx._survey import Survey, Tensor

Array = NDArray[Any]

_INPUTS = {1: np.float32, 2: np.uint8, 10: np.float16, 11: np.float64}
"""Element types of an input that can hold a stimulus, by their number in the format."""


@dataclass(frozen=True)
class Onnx(Oracle):
    """An ONNX model: one input of stimuli, any tensor of its graph readable by name.

    A layer is a graph output or an internal tensor, named as in the graph, with `.` for `/` and `_`
    for characters that module names cannot have: `/layer1/conv1/Conv_output_0` is
    `layer1.conv1.Conv_output_0`. Every numeric tensor with entries for each stimulus is readable.
    The axis of stimuli and the unit axis are found by running the graph on random stimuli and
    following the units from node to node. Tensors that cannot be read are listed in
    `describe().unaddressable`. Quantised tensors read as the integers they are.

    All requested internal layers are read in one pass of a graph that ends at these layers: later
    operations are not computed. This pass runs without ONNX Runtime's optimisations, which merge
    nodes, so that the last bits of an activation would depend on the other requested layers. The
    outputs of the graph are read in a separate, optimised pass, or in the same pass if `optimised`
    is False. The activation of a unit is therefore bit-identical whatever other layers are
    requested.

    Batches: a graph with a fixed number of rows gets its batches split, and the last filled
    up. Dynamic quantisation chooses its scales by the whole batch, so that a row's answer
    would depend on its neighbours: such graphs are run one row at a time. A graph that leaves
    its rows open and has the number of the export somewhere inside is run with `rows`.

    Attributes:
        model: path of the file; in Python also its bytes or an `onnx.ModelProto`.
        stimulus_shape: shape of one stimulus, where the graph leaves it open.
        mean: subtracted from stimuli in [0, 1], one number or one a channel (the first axis; of
            clips (frames, channels, height, width) the second) ...
        std: ... and then divided by this. An input of uint8 takes stimuli times 255 instead.
        channels_last: whether the graph takes (height, width, channels), or clips (frames,
            height, width, channels); stimuli are (channels, height, width), or (frames,
            channels, height, width), in any case.
        class_token: whether token 0 is a class token in every layer of tokens, which `@cls`
            reads and reductions leave out; unless given, in the layers of tokens behind the place
            where the graph puts one learned token before the others.
        labels: class names, for graph outputs of as many units.
        providers: execution providers, the preferred first, such as `CUDAExecutionProvider`.
        provider_options: for each provider by name, its options.
        threads: number of threads for one operator; ONNX Runtime's choice unless given.
        batch_size: preferred rows in one call.
        rows: in each run, where the graph leaves them open.
        optimised: whether outputs of the graph are read in an optimised pass of their own, which
            takes about half the time. False reads everything in one pass, which is faster where
            outputs and internal layers are read together.

    Raises:
        InvalidSpec: for a model of another kind, or numbers that do not fit together.
    """

    kind: ClassVar[str] = "onnx"
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset(
        {"threads", "batch_size", "labels"}
    )

    model: Any
    stimulus_shape: tuple[int, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channels_last: bool = False
    class_token: bool | None = None
    labels: tuple[str, ...] = ()
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    provider_options: dict[str, dict[str, str]] = field(default_factory=dict)
    threads: int | None = None
    batch_size: int = 64
    rows: int | None = None
    optimised: bool = True

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            object.__setattr__(self, name, checked_numbers(name, getattr(self, name)))
        if self.stimulus_shape:
            object.__setattr__(self, "stimulus_shape", checked_shape(self.stimulus_shape))
        check_positive("batch_size", self.batch_size)
        check_positive("threads", self.threads)
        check_positive("rows", self.rows)
        if not self.providers:
            raise InvalidSpec(
                "providers: expected one or more, such as 'CPUExecutionProvider', got none",
                field="providers",
            )
        for name in self.provider_options:
            if name not in self.providers:
                near = did_you_mean(name, self.providers)
                raise InvalidSpec(
                    f"provider_options: {name!r} is not among the providers{near}",
                    field="provider_options",
                )

    def contents(self) -> Mapping[str, object]:
        if isinstance(self.model, (str, Path)):
            return {"model": model_files(self.model)}
        if isinstance(self.model, bytes):
            return {"model": self.model}
        return {"model": self.model.SerializeToString(deterministic=True)}

    def describe(self) -> OracleInfo:
        """Its layers, read from the graph once.

        Raises:
            MissingExtra: if `onnx` or `onnxruntime` is not installed.
            NotFound: if the file does not exist.
            InvalidSpec: if the file is not an ONNX model, or parameters do not fit the model.
        """
        return self._info

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        """As `Oracle.observe`; on the device of `stimuli`, without gradients.

        Raises:
            OracleFailed: if ONNX Runtime fails.
            OutOfMemory: if the memory for a batch cannot be allocated.
        """
        check_stimuli(self._info, stimuli)
        check_units(self._info, units)
        if not len(stimuli) or not units:
            return torch.empty(len(stimuli), len(units), device=stimuli.device)
        rows = self._rows(stimuli.detach().to("cpu"))
        by_layer: dict[str, list[int]] = {}
        for column, unit in enumerate(units):
            by_layer.setdefault(unit.layer, []).append(column)
        readings = {
            name: self._reading(name, [units[column] for column in columns])
            for name, columns in by_layer.items()
        }
        found: dict[str, torch.Tensor] = {}
        for optimised in (False, True):
            names = [name for name in by_layer if self._is_optimised(name) == optimised]
            if names:
                found |= self._read(rows, {name: readings[name] for name in names}, optimised)
        order = torch.tensor([column for columns in by_layer.values() for column in columns])
        answer = torch.cat([found[name] for name in by_layer], dim=1)
        return answer[:, order.argsort()].to(stimuli.device)

    def __getstate__(self) -> dict[str, Any]:
        """Only the parameters: a copy in another process opens new sessions."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def close(self) -> None:
        """Drops the sessions; the next call opens new sessions."""
        vars(self).pop("_sessions", None)

    @cached_property
    def _graph(self) -> OnnxGraph:
        try:
            import onnx

            from blackbox_am.oracles.onnx._graph import OnnxGraph
        except ImportError as error:
            raise MissingExtra.of("onnx", "onnx") from error
        model = self.model
        try:
            if isinstance(model, (str, Path)):
                model = onnx.load(model)
            elif isinstance(model, bytes):
                model = onnx.load_model_from_string(model)
        except FileNotFoundError as error:
            raise NotFound(f"model: there is no file {error.filename}", field="model") from error
        except Exception as error:  # protobuf's, onnx's and the file system's own
            raise InvalidSpec(
                f"model: cannot read {self._source} as an ONNX model: {error}", field="model"
            ) from error
        if not isinstance(model, onnx.ModelProto) or not model.graph.node:
            raise InvalidSpec(f"model: expected an ONNX model, got {self._source}", field="model")
        return OnnxGraph(model, self.rows)

    @cached_property
    def _info(self) -> OracleInfo:
        graph = self._graph
        shape = self._shape(graph)
        check_normalisation(shape, self.mean, self.std)
        if graph.input.dtype not in _INPUTS or (graph.input.dtype == 2 and (self.mean or self.std)):
            raise InvalidSpec(
                f"model: its input {graph.input.name!r} takes {graph.input.type_name}; expected "
                "float32, float16, float64, or uint8 without mean and std. Export the model from "
                "where it takes numbers: embeddings or one-hot rows of tokens, a table as float32",
                field="model",
            )
        if not self._tensors:
            raise InvalidSpec(
                f"model: no tensor of {self._source} has one entry a stimulus; export it with "
                "a first axis of rows, left open or fixed (and classifiers of scikit-learn "
                "with zipmap off)",
                field="model",
            )
        layers = tuple(tensor.layer for tensor in self._tensors.values())
        if self.labels and not any(layer.labels for layer in layers):
            raise InvalidSpec(
                f"labels: no output of the graph has {len(self.labels)} units", field="labels"
            )
        return OracleInfo(
            self.kind,
            FORWARD,
            shape,
            layers,
            graph.deterministic,
            self.batch_size,
            unaddressable=self._survey.unaddressable,
        )

    @cached_property
    def _survey(self) -> Survey:
        from blackbox_am.oracles.onnx._survey import Surveyor

        shape = self._shape(self._graph)
        channels = len(shape) if self.channels_last else 1 + channel_axis(shape)
        surveyor = Surveyor(self._graph, self._rows, shape, channels, self._once)
        return surveyor.survey(self.labels)

    @cached_property
    def _tensors(self) -> dict[str, Tensor]:
        """Readable tensors by the name of their layer."""
        return {tensor.layer.name: tensor for tensor in self._survey.tensors}

    def _shape(self, graph: OnnxGraph) -> tuple[int, ...]:
        known = graph.input.shape
        if self.channels_last:
            place = channel_axis(known)
            known = (*known[:place], known[-1], *known[place:-1])
        given = self.stimulus_shape or known
        fits = len(given) == len(known) and all(
            length == fixed or fixed is None for length, fixed in zip(given, known, strict=True)
        )
        if not fits or any(length is None for length in given):
            open_shape = ", ".join("any" if length is None else str(length) for length in known)
            raise InvalidSpec(
                f"stimulus_shape: the model takes stimuli of shape ({open_shape}), got "
                f"{self.stimulus_shape or 'none'}; give one length for each axis",
                field="stimulus_shape",
            )
        return tuple(length for length in given if length is not None)

    def _rows(self, stimuli: torch.Tensor) -> Array:
        """Stimuli as the graph takes them."""
        dtype = _INPUTS[self._graph.input.dtype]
        if dtype is np.uint8:
            values = (stimuli.to(torch.float32) * 255).round().clamp(0, 255)
        else:
            values = normalised(stimuli, self.mean, self.std)
        if self.channels_last:
            values = values.movedim(1 + channel_axis(stimuli.shape[1:]), -1)
        return np.ascontiguousarray(values.numpy(), dtype)

    def _is_output(self, layer: str) -> bool:
        name = self._tensors[layer].name
        return any(value.name == name for value in self._graph.model.graph.output)

    def _is_optimised(self, layer: str) -> bool:
        return self.optimised and self._is_output(layer)

    def _reading(self, layer: str, units: list[Unit]) -> LayerReading:
        tensor = self._tensors[layer]
        class_token = tensor.class_token
        if self.class_token is not None:
            class_token = self.class_token and tensor.layer.axes == ("token", "unit")
        return LayerReading(tensor.layer, units, class_token=class_token)

    def _read(
        self, rows: Array, readings: dict[str, LayerReading], optimised: bool
    ) -> dict[str, torch.Tensor]:
        """What is read of each layer, from one pass over all rows."""
        if optimised:  # always the same graph, whatever outputs are wanted
            outputs = [one for one in self._tensors if self._is_output(one)]
        else:
            outputs = list(readings)
        names = tuple(self._tensors[layer].name for layer in outputs)
        session = self._session(names, optimised)
        fixed = self._graph.input.rows
        size = fixed or (1 if self._graph.mixes_rows else len(rows))
        pieces: dict[str, list[torch.Tensor]] = {layer: [] for layer in readings}
        for start in range(0, len(rows), size):
            piece = rows[start : start + size]
            filled = piece
            if fixed and len(piece) < fixed:
                filled = np.concatenate([piece, np.repeat(piece[-1:], fixed - len(piece), 0)])
            found = dict(zip(outputs, self._run(session, filled), strict=True))
            for layer, reading in readings.items():
                values = self._arranged(layer, found[layer], len(filled))
                pieces[layer].append(reading(values[: len(piece)]))
        return {layer: torch.cat(parts) for layer, parts in pieces.items()}

    def _arranged(self, layer: str, output: Array, rows: int) -> torch.Tensor:
        values = torch.from_numpy(np.array(output))
        if not values.is_floating_point():
            values = values.to(torch.float32)
        arranged = self._tensors[layer].layout.arranged(values, rows)
        if arranged is None:
            raise OracleFailed(
                f"layer {layer!r}: expected {rows} rows of shape "
                f"{self._tensors[layer].layer.shape}, as when the model was described, got an "
                f"array of shape {output.shape}"
            )
        return arranged

    def _run(self, session: Any, rows: Array) -> list[Array]:
        try:
            outputs: list[Array] = session.run(None, {self._graph.input.name: rows})
        except Exception as error:  # ONNX Runtime's errors have no common class of their own
            if "allocate memory" in str(error) or isinstance(error, MemoryError):
                raise OutOfMemory(
                    f"a batch of {len(rows)} stimuli does not fit into the memory of "
                    f"{self.providers[0]}; give the oracle a smaller batch_size"
                ) from error
            hint = "; if it takes other numbers of rows only, give one as `rows`"
            raise OracleFailed(
                f"ONNX Runtime raised {type(error).__name__} on inputs of shape {rows.shape}: "
                f"{error}{hint if self._graph.input.rows is None else ''}"
            ) from error
        return outputs

    def _once(self, model: bytes, inputs: Mapping[str, Array]) -> list[Any]:
        """The outputs of a model that is run once.

        Raises:
            OracleFailed: if the model cannot be run.
        """
        session = self._open(model, optimise=False)
        try:
            found: list[Any] = session.run(None, dict(inputs))
        except Exception as error:  # ONNX Runtime's errors have no common class of their own
            hint = "; if it takes other numbers of rows only, give one as `rows`"
            shapes = ", ".join(str(array.shape) for array in inputs.values())
            raise OracleFailed(
                f"ONNX Runtime raised {type(error).__name__} on inputs of shape {shapes}: "
                f"{error}{hint}"
            ) from error
        return found

    def _session(self, names: tuple[str, ...], optimised: bool) -> Any:
        """The session that ends at some tensors."""
        sessions: Sessions = vars(self).setdefault("_sessions", Sessions())
        return sessions.get(
            names,
            lambda: self._graph.ending_at(names),
            lambda graph: self._open(graph, optimise=optimised),
        )

    def _open(self, model: bytes, *, optimise: bool) -> Any:
        return open_session(
            model,
            self._source,
            self.providers,
            self.provider_options,
            self.threads,
            optimise=optimise,
        )

    @property
    def _source(self) -> str:
        if isinstance(self.model, (str, Path)):
            return repr(str(self.model))
        return f"the {type(self.model).__name__} given"
