"""A Python function as an oracle."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from blackbox_am.core.capability import FORWARD, Capability
from blackbox_am.core.digests import Unnamed
from blackbox_am.core.importing import imported
from blackbox_am.core.metering import count
from blackbox_am.core.numbers import numbers_in
from blackbox_am.core.oracle import Oracle, check_stimuli, check_units
from blackbox_am.core.types import Accounting, LayerInfo, OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import BlackboxError, InvalidSpec, OracleFailed
from blackbox_am.oracles._inputs import (
    check_labels,
    check_positive,
    checked_shape,
    is_layer_name,
)
from blackbox_am.oracles._layers import AXES
from blackbox_am.oracles._reading import LayerReading

LAYER = "scores"

Answers = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Function(Oracle):
    """Any Python callable that takes stimuli and returns numbers.

    The callable returns one row for each stimulus: (N, U) for U units in a layer called `scores`
    ((N,) for one unit), (N, T, D) for tokens, (N, C, H, W) for maps; or a mapping of such arrays
    by layer name. Integers and numbers of float64 are answered in float64, all others in float32.
    A nan or a None is a failed measurement. The layers are found by one call with a single grey
    stimulus when the oracle is first described; this row is counted like any other row.

    The callable is called from any thread, but only once at a time. It gets no padding rows,
    because rows may cost something.

    Attributes:
        function: the callable. In a configuration file `package.module:attribute`, which is
            imported when the oracle is built. Only the operator of a server can write it
            there, never a client.
        stimulus_shape: shape of one stimulus.
        batch: whether it takes stimuli (N, *stimulus); otherwise one (*stimulus,) at a time,
            and then returns the arrays above without their first axis.
        arrays: the type of its input: `numpy` arrays or `torch` tensors, in float32.
        gradients: whether its result on torch tensors can be differentiated
            (capability GRADIENTS).
        labels: names of the units of `scores`.
        deterministic: whether the same stimuli always give the same numbers.
        batch_size: most rows in one call.
        model: a name for the computation, such as `v3`. Another process can only recognise the
            function by this name: the name is needed to resume a study in another process, and to
            share a cache. Change the name when the function changes.

    Raises:
        InvalidSpec: if `function` is not a callable, or cannot be imported.
    """

    kind: ClassVar[str] = "function"
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset(
        {"deterministic", "batch_size", "labels"}
    )
    billable: ClassVar[bool] = True

    function: Any
    stimulus_shape: tuple[int, ...]
    batch: bool = True
    arrays: Literal["numpy", "torch"] = "numpy"
    gradients: bool = False
    labels: tuple[str, ...] = ()
    deterministic: bool = True
    batch_size: int = 64
    model: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "stimulus_shape", checked_shape(self.stimulus_shape))
        check_positive("batch_size", self.batch_size)
        if self.arrays not in ("numpy", "torch"):
            raise InvalidSpec(
                f"arrays: expected numpy or torch, got {self.arrays!r}", field="arrays"
            )
        if self.gradients and self.arrays != "torch":
            raise InvalidSpec(
                "gradients: only what is computed on torch tensors can be differentiated; set "
                "arrays to 'torch', or gradients to false",
                field="gradients",
            )
        if isinstance(self.function, str):
            object.__setattr__(self, "function", imported("function", self.function))
        if not callable(self.function):
            raise InvalidSpec(
                f"function: expected a callable, got {type(self.function).__name__}",
                field="function",
            )

    def contents(self) -> Mapping[str, object]:
        # The source text of a function does not determine the data that the function reads.
        return {"function": None if self.model else Unnamed.of(self.function)}

    def describe(self) -> OracleInfo:
        """The layers of the function, found by one call.

        Raises:
            OracleFailed: if the call fails, or does not return such arrays.
            InvalidSpec: if the labels do not fit the returned arrays.
        """
        return self._info

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        """As `Oracle.observe`; on the device of `stimuli`.

        Raises:
            OracleFailed: if the callable raises, or returns other layers or shapes than in the
                first call.
        """
        check_stimuli(self._info, stimuli)
        check_units(self._info, units)
        if not len(stimuli) or not units:
            return torch.empty(len(stimuli), len(units), device=stimuli.device)
        pieces = [self._read(rows, units) for rows in torch.split(stimuli, self.batch_size)]
        return torch.cat(pieces).to(stimuli.device)

    def _read(self, rows: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        answers = self._call(rows)
        columns: list[torch.Tensor | None] = [None] * len(units)
        for layer in self._info.layers:
            places = [c for c, unit in enumerate(units) if unit.layer == layer.name]
            if not places:
                continue
            if layer.name not in answers:
                raise OracleFailed(
                    f"the function returned layers {', '.join(answers)}; expected {layer.name!r} "
                    "too, as when it was described"
                )
            answer = answers[layer.name]
            reading = LayerReading(layer, [units[c] for c in places], answer.device)
            for place, column in zip(places, reading(answer).unbind(1), strict=True):
                columns[place] = column
        read = [column for column in columns if column is not None]
        dtype = reduce(torch.promote_types, (column.dtype for column in read))
        return torch.stack([column.to(dtype) for column in read], dim=1)

    def _call(self, rows: torch.Tensor) -> Answers:
        """The callable's answer to stimuli (N, *stimulus), by layer, each (N, ...)."""
        tracked = self.gradients and torch.is_grad_enabled()
        with self._lock, torch.set_grad_enabled(tracked):
            rows = rows.to(torch.float32)
            given: Any = rows if tracked else rows.detach().clone()
            if self.arrays == "numpy":
                given = given.cpu().numpy()
            try:
                if self.batch:
                    return self._layers(self.function(given), len(rows))
                each = [self._layers(self.function(one), None) for one in given]
            except BlackboxError:
                raise
            except Exception as error:  # foreign code may raise anything
                raise OracleFailed(
                    f"the function raised {type(error).__name__} on {len(rows)} stimuli of shape "
                    f"{self.stimulus_shape}: {error}"
                ) from error
            try:
                return {name: torch.stack([one[name] for one in each]) for name in each[0]}
            except (KeyError, RuntimeError) as error:
                raise OracleFailed(
                    "the function returned other layers or shapes from stimulus to stimulus: "
                    f"{error}"
                ) from error

    def _layers(self, answer: Any, rows: int | None) -> Answers:
        """A checked answer by layer. `rows` is None for the answer to a single stimulus."""
        named = answer if isinstance(answer, Mapping) else {LAYER: answer}
        found = {}
        for name, values in named.items():
            missing = values is None and rows is not None  # no answer to a whole batch
            tensor = None if missing else _tensor(values)
            if tensor is None or tensor.is_complex():
                raise OracleFailed(
                    f"the function returned {type(values).__name__} for {name!r}; expected "
                    "numbers: an array, a tensor or lists of real numbers, each list of one level "
                    "of the same length"
                )
            if rows is not None and (not tensor.ndim or len(tensor) != rows):
                raise OracleFailed(
                    f"the function was given {rows} stimuli and returned an array of shape "
                    f"{tuple(tensor.shape)} for {name!r}; expected {rows} rows, one a stimulus"
                )
            if tensor.ndim == (0 if rows is None else 1):
                tensor = tensor.unsqueeze(-1)
            found[str(name)] = tensor if tensor.is_floating_point() else tensor.to(torch.float64)
        return found

    @cached_property
    def _info(self) -> OracleInfo:
        count(Accounting(calls=1, rows=1))
        with torch.no_grad():
            answers = self._call(torch.full((1, *self.stimulus_shape), 0.5))
        layers = tuple(self._layer(name, tuple(t.shape[1:])) for name, t in answers.items())
        if not layers:
            raise OracleFailed("the function returned a mapping without any layer")
        maps = any(len(layer.shape) > 1 for layer in layers)
        capabilities = FORWARD if maps else Capability.SCORES | Capability.UNITS
        return OracleInfo(
            self.kind,
            capabilities | Capability.GRADIENTS if self.gradients else capabilities,
            self.stimulus_shape,
            layers,
            self.deterministic,
            self.batch_size,
        )

    def _layer(self, name: str, shape: tuple[int, ...]) -> LayerInfo:
        if len(shape) not in AXES or 0 in shape:
            raise OracleFailed(
                f"the function returned numbers of shape {shape} a stimulus for {name!r}; expected "
                "(units,), (tokens, units), (units, height, width) or (units, depth, height, width)"
            )
        if not is_layer_name(name):
            raise OracleFailed(
                f"the function returned a layer called {name!r}; expected a name that "
                "units can be addressed by"
            )
        axes = AXES[len(shape)]
        if name == LAYER:
            check_labels(self.labels, shape[axes.index("unit")])
        kind = {1: "scores", 2: "tokens"}.get(len(shape), "maps")
        return LayerInfo(name, kind, shape, axes, labels=self.labels if name == LAYER else ())

    @property
    def _lock(self) -> threading.Lock:
        lock: threading.Lock = vars(self).setdefault("_calling", threading.Lock())
        return lock


def _tensor(values: Any) -> torch.Tensor | None:
    """Numbers as a tensor, see `numbers_in`; None for anything else."""
    if isinstance(values, torch.Tensor):
        return values
    array = numbers_in(values)
    return None if array is None else torch.from_numpy(np.array(array))
