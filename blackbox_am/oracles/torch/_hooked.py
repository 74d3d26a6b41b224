"""Runs a PyTorch model, and reads named layers by forward hooks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from blackbox_am.errors import BlackboxError, OracleFailed, OutOfMemory
from blackbox_am.oracles._layers import Run
from blackbox_am.oracles._reading import LayerReading
from blackbox_am.oracles.torch._places import OUTPUT, Place, further_outputs, head_of, places_of

Hook = Callable[[nn.Module, torch.Tensor], None]

DRY_ROWS = 3
"""Rows in the dry run: what has another first length is not one output a stimulus."""


_LOCKS: WeakKeyDictionary[nn.Module, threading.Lock] = WeakKeyDictionary()
_LOCKS_LOCK = threading.Lock()


def _lock_of(module: nn.Module) -> threading.Lock:
    """The lock of `module`: one for all oracles on it, who would hear each other's runs."""
    with _LOCKS_LOCK:
        return _LOCKS.setdefault(module, threading.Lock())


class HookedModel:
    """Takes a module over: moves it, puts it into eval mode, freezes its parameters.

    Safe to call from any thread: one forward pass at a time.

    Args:
        module: the model.
        device: where it runs.
        dtype: what it computes in.
        rows: how many stimuli it takes at once, the fewest and the most; None for any number.

    Attributes:
        places: where each layer is read, by its name.
    """

    def __init__(
        self,
        module: nn.Module,
        device: torch.device,
        dtype: torch.dtype,
        rows: tuple[int, int | None] = (1, None),
    ) -> None:
        self.module = module.to(device=device, dtype=dtype).eval().requires_grad_(False)
        self.device = device
        self.dtype = dtype
        self.rows = rows
        self.places = places_of(module)
        self._lock = _lock_of(module)
        if any(isinstance(m, nn.MultiheadAttention) for m in module.modules()):
            # PyTorch's fused attention is taken or not according to hooks and autograd, and
            # runs no hooks inside: the same stimulus would read other last bits from call to
            # call. The switch is global to the process.
            torch.backends.mha.set_fastpath_enabled(False)

    def read(
        self, inputs: torch.Tensor, readers: Mapping[str, LayerReading]
    ) -> dict[str, torch.Tensor]:
        """Runs the model and returns, for each named layer, what its reader made of its output.

        A reader is called as soon as the layer has its output, before anything can change
        it in place. Where a layer runs several times, its last run counts, of those with the
        shape it was described with. Where the model takes a certain number of rows only, the
        batch is split, and the last part filled up with zeros.

        Args:
            inputs: (N, ...), normalised.
            readers: how each layer is read.

        Raises:
            OracleFailed: where the model raises, or a layer did not run.
            OutOfMemory: where the batch does not fit.
        """
        fewest, most = self.rows
        parts = []
        for piece in torch.split(inputs, most) if most else [inputs]:
            missing = max(fewest - len(piece), 0)
            filled = torch.cat([piece, piece.new_zeros(missing, *piece.shape[1:])])
            found = self._read(filled if missing else piece, readers)
            parts.append({name: values[: len(piece)] for name, values in found.items()})
        if len(parts) == 1:
            return parts[0]
        return {name: torch.cat([part[name] for part in parts]) for name in readers}

    def _read(
        self, inputs: torch.Tensor, readers: Mapping[str, LayerReading]
    ) -> dict[str, torch.Tensor]:
        found: dict[str, torch.Tensor] = {}

        def reader_hook(name: str, reader: LayerReading) -> Hook:
            def record(module: nn.Module, output: torch.Tensor) -> None:  # noqa: ARG001
                # A module that runs twice may have another shape the first time.
                if tuple(output.shape[1:]) == reader.layer.shape:
                    found[name] = reader(output)

            return record

        self.listen([inputs], {name: reader_hook(name, reader) for name, reader in readers.items()})
        silent = [name for name in readers if name not in found]
        if silent:
            raise OracleFailed(
                f"layers {', '.join(silent)} gave no output of the shape they had when the model "
                f"was described; on inputs of shape {tuple(inputs.shape)} it took another path"
            )
        return found

    def listen(
        self,
        inputs: Iterable[torch.Tensor],
        hooks_by_layer: Mapping[str, Hook],
        prepare: Callable[[], None] | None = None,
    ) -> None:
        """Runs the model on each of several inputs; no other thread runs it meanwhile.

        Args:
            inputs: (N, ...) each, normalised.
            hooks_by_layer: for each named layer, what is called with the module and its output as
                soon as it has one.
            prepare: called before the first run.

        Raises:
            OracleFailed: where the model raises.
            OutOfMemory: where the batch does not fit.
        """

        def hook(place: Place, record: Hook) -> Callable[..., None]:
            def hooked(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
                tensor = place.read(args, kwargs, output)
                if tensor is not None:
                    record(module, tensor)

            return hooked

        with self._lock, ExitStack() as hooks:
            for name, record in hooks_by_layer.items():
                place = self.places[name]
                hooks.callback(_listen(place.module, hook(place, record)))
            if prepare is not None:
                prepare()
            for batch in inputs:
                self._forward(batch)

    def dry_run(self, stimulus_shape: tuple[int, ...]) -> list[Run]:
        """Every place with a tensor of one row a stimulus, in the order they were last done.

        Attention heads get a place each, and so does each further output of the model.
        """
        fewest, most = self.rows
        rows = max(fewest, min(DRY_ROWS, most or DRY_ROWS))
        shapes: dict[str, tuple[int, ...]] = {}

        def keep(name: str, tensor: torch.Tensor | None) -> bool:
            kept = tensor is not None and tensor.ndim > 0 and len(tensor) == rows
            if tensor is not None and kept:
                shapes.pop(name, None)
                shapes[name] = tuple(tensor.shape[1:])
            return kept

        def hook(name: str, place: Place) -> Callable[..., None]:
            def hooked(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:  # noqa: ARG001
                keep(name, place.read(args, kwargs, output))

            return hooked

        def finish(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:  # noqa: ARG001
            for name, place, value in further_outputs(module, output):
                if name not in places and keep(name, value):
                    self.places[name] = place

        places = dict(self.places)
        inputs = torch.zeros(rows, *stimulus_shape, device=self.device, dtype=self.dtype)
        with self._lock, ExitStack() as hooks, torch.no_grad():
            for name, place in places.items():
                hooks.callback(_listen(place.module, hook(name, place)))
            hooks.callback(_listen(self.module, finish))
            self._forward(inputs)
        return [run for name, shape in shapes.items() for run in self._runs(name, shape)]

    def has_gradients(self, stimulus_shape: tuple[int, ...]) -> bool:
        """Whether the model's output can be differentiated by its stimuli.

        Raises:
            OracleFailed: where the model raises.
        """
        fewest, _ = self.rows
        inputs = torch.zeros(
            fewest, *stimulus_shape, device=self.device, dtype=self.dtype, requires_grad=True
        )
        heard: list[torch.Tensor] = []
        with torch.enable_grad():
            self.listen([inputs], {OUTPUT: lambda _, output: heard.append(output)})
            try:
                torch.autograd.grad(heard[-1].sum(), inputs)
            except (RuntimeError, IndexError):  # autograd has no errors of its own
                return False
        return True

    def _runs(self, name: str, shape: tuple[int, ...]) -> list[Run]:
        place = self.places[name]
        if not place.heads:
            return [Run(name, place.module, shape)]
        if len(shape) != 3:
            return []
        each = [f"{name}.{head}" for head in range(shape[0])]
        self.places.update({one: head_of(place, head) for head, one in enumerate(each)})
        return [Run(one, place.module, shape[1:], head=True) for one in each]

    def _forward(self, inputs: torch.Tensor) -> None:
        try:
            self.module(inputs)
        except BlackboxError:
            raise
        except (torch.cuda.OutOfMemoryError, MemoryError) as error:
            raise OutOfMemory(
                f"a batch of {len(inputs)} stimuli does not fit into the memory of "
                f"{self.device}; give the oracle a smaller batch_size"
            ) from error
        except Exception as error:  # whatever the model raises is the model's failure
            raise OracleFailed(
                f"the model raised {type(error).__name__} on inputs of shape "
                f"{tuple(inputs.shape)}: {error}"
            ) from error


def _listen(module: nn.Module, hook: Callable[..., None]) -> Callable[[], None]:
    """Puts a hook on a module; what is returned takes it off."""
    return module.register_forward_hook(hook, with_kwargs=True).remove
