"""Finds the layers of a PyTorch model by a few runs on random stimuli."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from blackbox_am.core.types import Unaddressable
from blackbox_am.errors import OracleFailed
from blackbox_am.oracles._inputs import channel_axis
from blackbox_am.oracles.torch._layers import axis_names
from blackbox_am.oracles.torch._passes import Forward, Pass, Record
from blackbox_am.oracles.torch._places import Place, head_of, takes_hooks
from blackbox_am.oracles.torch._rows import Rows, find_rows
from blackbox_am.oracles.torch._stand_ins import Program
from blackbox_am.oracles.torch._unit_flow import UnitFlow

ROWS, FEWER = 3, 2
"""Numbers of stimuli in the runs, if the model accepts these numbers."""


@dataclass(frozen=True)
class Found:
    """A layer that can be read.

    Attributes:
        name: of the layer.
        place: where it is read.
        rows: how the stimuli are arranged in the layer's output.
        shape: for one stimulus; parts that were folded into the batch come first.
        axes: the name of each axis of the shape.
        runs: how often its module runs for one batch.
        head: whether it is one attention head.
        class_token: whether its token 0 is a class token.
    """

    name: str
    place: Place
    rows: Rows
    shape: tuple[int, ...]
    axes: tuple[str, ...]
    runs: int = 1
    head: bool = False
    class_token: bool = False

    def arranged(self, output: torch.Tensor, rows: int) -> torch.Tensor | None:
        """(rows, *shape) of the values at the place; None if they have another shape.

        Quantised values are dequantised.
        """
        if output.ndim <= self.rows.axis or output.is_nested or output.layout != torch.strided:
            return None
        values = output.dequantize() if output.is_quantized else output
        try:
            values = self.rows.first(values, rows)
        except ValueError:
            return None
        if values.ndim == 1:
            values = values.unsqueeze(1)
        return values if tuple(values.shape[1:]) == self.shape else None


@dataclass(frozen=True)
class Survey:
    """The result of a survey.

    Attributes:
        found: the layers, in the order of the computation.
        unaddressable: places that are not layers, with the reason.
        notes: problems during the survey, for the operator.
    """

    found: tuple[Found, ...]
    unaddressable: tuple[Unaddressable, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Runs:
    """The runs that are compared. Only the first run always exists."""

    first: Pass
    changed: Pass | None
    fewer: Pass | None
    larger: Callable[[], Pass | None]
    rows: int


def survey(
    model: nn.Module,
    places: dict[str, Place],
    forward: Forward,
    stimulus_shape: tuple[int, ...],
    rows: tuple[int, int | None],
    like: torch.Tensor,
) -> Survey:
    """Runs the model on random stimuli, and determines the axes of each layer.

    If one stimulus is changed, the entries of a layer that change belong to this stimulus. With
    fewer stimuli, the batch axis is shorter. The unit axis is fixed by the module's class, or
    follows from the operations that produced the values (`UnitFlow`). If neither determines the
    unit axis, stimuli of twice the size lengthen the axes of space, time and tokens, and no other
    axis.

    Args:
        model: the model.
        places: the places to record.
        forward: runs it on a batch.
        stimulus_shape: of one stimulus.
        rows: the fewest and the most stimuli it takes at once; None for any number.
        like: a tensor on the device and of the type of the model's input.

    Raises:
        OracleFailed: where the model raises.
    """
    fewest, most = rows
    count = max(fewest, min(ROWS, most or ROWS))
    generator = torch.Generator().manual_seed(0)
    stimuli = torch.rand(count, *stimulus_shape, generator=generator).to(like)
    changed = stimuli.clone()
    changed[_changed_row(count)] = torch.rand(stimulus_shape, generator=generator).to(like)

    def once(inputs: torch.Tensor, flow: UnitFlow | None = None) -> Pass:
        return Pass(model).run(places, forward, inputs, flow)

    def larger() -> Pass | None:
        channel = channel_axis(stimulus_shape)
        sizes = [n if axis <= channel else 2 * n for axis, n in enumerate(stimulus_shape)]
        return _where_possible(once, torch.rand(count, *sizes, generator=generator).to(like))

    notes: tuple[str, ...] = ()
    try:
        first = once(stimuli, UnitFlow(stimuli, 1 + channel_axis(stimulus_shape)))
    except OracleFailed as error:
        # Some compiled code fails while operations are followed. An error of the model itself is
        # raised again by the second run.
        first = once(stimuli)
        notes = (f"the axes of layers were told by their classes alone, because {error}",)
    takes_fewer = fewest <= FEWER < count
    runs = _Runs(
        first,
        _where_possible(once, changed),
        _where_possible(once, stimuli[:FEWER]) if takes_fewer else None,
        larger,
        count,
    )
    return replace(_told(runs, places), notes=notes)


def _where_possible(once: Callable[[torch.Tensor], Pass], inputs: torch.Tensor) -> Pass | None:
    try:
        return once(inputs)
    except OracleFailed:
        return None  # the model refuses such a batch; the other runs must suffice


def _changed_row(rows: int) -> int:
    return min(1, rows - 1)


def _told(runs: _Runs, places: dict[str, Place]) -> Survey:
    decider = _Decider(runs)
    layers = [
        layer
        for name, record in runs.first.records.items()
        for layer in decider.layers(name, record)
    ]
    silent = [
        Unaddressable(name, "its module was not called on its own when the model ran")
        for name, place in places.items()
        if name not in runs.first.records and not place.heads and _computes(place.module)
    ]
    if not isinstance(runs.first.model, Program):
        silent += [
            Unaddressable(name, "it is a TorchScript module inside of another model")
            for name, module in runs.first.model.named_modules()
            if not takes_hooks(module)
        ]
    return Survey(
        tuple(layer for layer in layers if isinstance(layer, Found)),
        (*(layer for layer in layers if isinstance(layer, Unaddressable)), *silent),
    )


def _computes(module: nn.Module) -> bool:
    """Whether a module can be called; lists of modules cannot."""
    return type(module).forward is not nn.Module.forward


class _Decider:
    def __init__(self, runs: _Runs) -> None:
        self.runs = runs
        self._larger: list[Pass | None] = []

    def layers(self, name: str, record: Record) -> Iterator[Found | Unaddressable]:
        """The layer or the layers at one place, or the reason why no layer can be read."""
        if record.seen is None:
            yield Unaddressable(name, record.reason)
            return
        rows = self._rows(name, record)
        if isinstance(rows, str):
            yield Unaddressable(name, rows)
            return
        unit = self._unit_axis(name, record, rows)
        if unit is None:
            yield Unaddressable(
                name,
                f"which axis of its output of shape {record.seen.shape} is the unit cannot be "
                "told: none was made by weights, and several have a fixed length",
            )
            return
        yield from _described(name, record, rows, unit)

    def _rows(self, name: str, record: Record) -> Rows | str:
        assert record.seen is not None
        runs = self.runs
        fewer = runs.fewer.seen(name) if runs.fewer is not None else None
        return find_rows(
            runs.rows,
            _changed_row(runs.rows),
            record.seen,
            runs.changed.seen(name) if runs.changed is not None else None,
            (FEWER, fewer) if fewer is not None else None,
        )

    def _unit_axis(self, name: str, record: Record, rows: Rows) -> int | None:
        """The unit axis of the recorded values; -1 for one number for each stimulus or part."""
        assert record.seen is not None
        shape = record.seen.shape
        others = [axis for axis in range(len(shape)) if axis != rows.axis]
        if record.heads:
            return len(shape) - 1
        if len(others) <= 1:
            return others[0] if others else -1
        axes = tuple(axis for axis in (record.mark.axes if record.mark else ()) if axis in others)
        if len(axes) > 1:
            # A vector that was reshaped to a map has channels first; the axis of heads comes before
            # units.
            return axes[0] if set(axes) == set(others) else axes[-1]
        if axes:
            return axes[0]
        return self._fixed_axis(name, shape, others)

    def _fixed_axis(self, name: str, shape: Sequence[int], others: Sequence[int]) -> int | None:
        """The only axis that larger stimuli do not lengthen."""
        if not self._larger:
            self._larger.append(self.runs.larger())
        larger = self._larger[0].seen(name) if self._larger[0] is not None else None
        if larger is None or len(larger.shape) != len(shape):
            return None
        fixed = [axis for axis in others if larger.shape[axis] == shape[axis]]
        return fixed[0] if len(fixed) == 1 else None


def _described(name: str, record: Record, rows: Rows, unit: int) -> Iterator[Found]:
    assert record.seen is not None
    shape = record.seen.shape
    others = [axis for axis in range(len(shape)) if axis != rows.axis]
    lengths = tuple(shape[axis] for axis in others)
    place = others.index(unit) if unit >= 0 else 0
    parts = rows.parts > 1
    layer = (rows.parts, *lengths) if parts else lengths
    axes = axis_names(len(lengths), place, parts=parts)
    if unit < 0:
        # One number for each part is a vector; one for each stimulus a vector of length 1.
        layer, axes = (rows.parts,), ("unit",)
    tokens = axes.index("token") if "token" in axes else None
    found = Found(
        name,
        record.place,
        rows,
        layer,
        axes,
        record.runs,
        class_token=tokens is not None and len(axes) == 2 and layer[tokens] in record.class_lengths,
    )
    if not record.heads:
        yield found
        return
    for head in range(record.heads):
        yield Found(
            f"{name}.{head}",
            head_of(record.place, head),
            rows,
            layer,
            axes,
            record.runs,
            head=True,
            class_token=found.class_token,
        )
