"""Runs of a model that inspect the output at every place."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from blackbox_am.oracles._marks import Mark
from blackbox_am.oracles._probing import row_marks
from blackbox_am.oracles._rows import Seen
from blackbox_am.oracles.torch._axes import input_axis, known_class, output_axis
from blackbox_am.oracles.torch._places import Place, further_outputs, takes_hooks
from blackbox_am.oracles.torch._unit_flow import UnitFlow

Forward = Callable[[torch.Tensor], None]


@dataclass
class Record:
    """The values at one place in the last run of its module.

    Attributes:
        place: the place.
        seen: the values; for attention heads the values of the first head; None if no values exist.
        reason: why no values exist.
        runs: how often the module ran.
        heads: number of attention heads; 0 without attention heads.
        mark: the knowledge about the unit axis from earlier operations.
        class_lengths: lengths of the token sequences with a class token, so far.
    """

    place: Place
    seen: Seen | None = None
    reason: str = ""
    runs: int = 0
    heads: int = 0
    mark: Mark | None = None
    class_lengths: frozenset[int] = frozenset()


@dataclass
class Pass:
    """One run of a model.

    Attributes:
        model: the model.
        records: by the name of the place, in the order in which modules last ended.
    """

    model: nn.Module
    records: dict[str, Record] = field(default_factory=dict)

    def seen(self, name: str) -> Seen | None:
        """The values at a place; None without values."""
        record = self.records.get(name)
        return record.seen if record is not None else None

    def run(
        self,
        places: dict[str, Place],
        forward: Forward,
        inputs: torch.Tensor,
        flow: UnitFlow | None = None,
    ) -> Pass:
        """Runs the model once, and records every place.

        Args:
            places: by name.
            forward: runs the model.
            inputs: the input of the model.
            flow: follows the operations of this run.
        """
        with ExitStack() as stack:
            stack.enter_context(_same_random_numbers(inputs.device))
            if flow is not None:
                for module in filter(takes_hooks, self.model.modules()):
                    stack.enter_context(_settled_by_class(module, flow))
            for name, place in places.items():
                stack.enter_context(_hooked(place.module, self._looker(name, place, places, flow)))
            stack.enter_context(flow if flow is not None else nullcontext())
            forward(inputs)
        return self

    def _looker(
        self, name: str, place: Place, places: Container[str], flow: UnitFlow | None
    ) -> Callable[..., None]:
        def look(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            with flow.paused() if flow is not None else nullcontext():
                self._look(name, place, place.read(args, kwargs, output), flow)
                if place.heads or place.module is not module:
                    return
                for keys, further, value in further_outputs(module, output):
                    if f"{name}.{keys}" not in places:
                        self._look(f"{name}.{keys}", further, value, flow)

        return look

    def _look(
        self, name: str, place: Place, values: torch.Tensor | None, flow: UnitFlow | None
    ) -> None:
        record = self.records.pop(name, None) or Record(place)
        self.records[name] = record
        record.runs += 1
        record.reason = _unreadable(values)
        if values is None or record.reason:
            return
        if place.heads:
            record.heads, values = len(values), values[0]
        record.seen = Seen(
            tuple(values.shape), row_marks(values.dequantize() if values.is_quantized else values)
        )
        if flow is not None:
            record.mark = flow.mark_of(values) or _mark_by_class(place, values)
            record.class_lengths = frozenset(flow.class_lengths)


def _unreadable(values: torch.Tensor | None) -> str:
    """The reason why a module's result cannot be read; empty if the result can be read."""
    if values is None:
        return "its output holds no tensor"
    if values.is_complex():
        return "its values are complex numbers; read the module that takes their size or phase"
    if values.is_nested or values.layout != torch.strided:
        return "its output is a sparse or nested tensor"
    if values.ndim == 0:
        return "its output is one number for the whole batch"
    return "" if values.numel() else "its output is empty"


def _mark_by_class(place: Place, values: torch.Tensor) -> Mark | None:
    """For values that no followed operation made, such as those of other compiled code."""
    axis = None if place.heads else output_axis(place.module, values)
    return None if axis is None else Mark((axis,))


@contextmanager
def _settled_by_class(module: nn.Module, flow: UnitFlow) -> Iterator[None]:
    """Passes the unit axes that the module's class fixes for input and output to the flow."""

    def before(module: nn.Module, args: tuple[Any, ...]) -> None:
        values = args[0] if args else None
        if isinstance(values, torch.Tensor):
            axis = input_axis(module, values)
            if axis is not None:
                flow.settle(values, axis, own=False)

    def after(module: nn.Module, args: Any, output: Any) -> None:
        values = output[0] if isinstance(output, tuple) and output else output
        if isinstance(values, torch.Tensor):
            axis = output_axis(module, values)
            if axis is not None:
                flow.settle(values, axis, own=True)
            read = args[0] if isinstance(args, tuple) and args else None
            kind = known_class(module)
            linear = kind is not None and issubclass(kind, nn.Linear)
            if linear and isinstance(read, torch.Tensor):
                flow.settle_groups(read, values)

    one, two = module.register_forward_pre_hook(before), module.register_forward_hook(after)
    try:
        yield
    finally:
        one.remove()
        two.remove()


@contextmanager
def _hooked(module: nn.Module, hook: Callable[..., None]) -> Iterator[None]:
    handle = module.register_forward_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _same_random_numbers(device: torch.device) -> Iterator[None]:
    """Fixes the random numbers that a model draws, and restores the state of the generators
    afterwards.
    """
    with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        yield
