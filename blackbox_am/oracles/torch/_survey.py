"""Finds the layers of a PyTorch model by a few runs on random stimuli."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import nn

from blackbox_am.core.types import Unaddressable
from blackbox_am.errors import OracleFailed
from blackbox_am.oracles._inputs import channel_axis
from blackbox_am.oracles._layout import UNCLEAR, Layout, fixed_axes, marked_axes
from blackbox_am.oracles._probing import Axes
from blackbox_am.oracles._rows import Rows, find_rows
from blackbox_am.oracles.torch._layers import Layer
from blackbox_am.oracles.torch._passes import Forward, Pass, Record
from blackbox_am.oracles.torch._places import Place, head_of, takes_hooks
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
        layout: how stimuli and units are arranged in the output.
        runs: how often its module runs for one batch.
        head: whether it is one attention head.
        class_token: whether its token 0 is a class token.
    """

    name: str
    place: Place
    layout: Layout
    runs: int = 1
    head: bool = False
    class_token: bool = False

    @property
    def layer(self) -> Layer:
        """The description of the layer."""
        return Layer(self.name, self.place.module, self.layout.shape, self.layout.axes, self.head)


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
        OracleFailed: if the model raises.
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
        silent += _further_names(runs.first.model)
    return Survey(
        tuple(layer for layer in layers if isinstance(layer, Found)),
        (*(layer for layer in layers if isinstance(layer, Unaddressable)), *silent),
    )


def _further_names(model: nn.Module) -> Iterator[Unaddressable]:
    """The names of modules that have another name before, such as a layer in two containers."""
    first = {id(module): name for name, module in model.named_modules()}
    for name, module in model.named_modules(remove_duplicate=False):
        known = first[id(module)]
        if known and name != known and _computes(module):
            yield Unaddressable(
                name, f"it is the module {known!r} under another name; read {known!r}"
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
        units = self._unit_axes(name, record, rows)
        if units is None:
            yield Unaddressable(name, UNCLEAR.format(shape=record.seen.shape))
            return
        yield from _described(name, record, Layout.of(record.seen.shape, rows, units))

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

    def _unit_axes(self, name: str, record: Record, rows: Rows) -> Axes | None:
        assert record.seen is not None
        shape = record.seen.shape
        if record.heads:
            return (len(shape) - 1,)
        marked = marked_axes(shape, rows, record.mark)
        if marked is not None:
            return marked
        if not self._larger:
            self._larger.append(self.runs.larger())
        larger = self._larger[0].seen(name) if self._larger[0] is not None else None
        return fixed_axes(shape, rows, larger.shape if larger is not None else None)


def _described(name: str, record: Record, layout: Layout) -> Iterator[Found]:
    class_token = layout.has_class_token(record.class_lengths)
    if not record.heads:
        yield Found(name, record.place, layout, record.runs, class_token=class_token)
        return
    for head in range(record.heads):
        place = head_of(record.place, head)
        yield Found(f"{name}.{head}", place, layout, record.runs, True, class_token)
