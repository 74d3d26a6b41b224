"""A PyTorch model with ears: runs it, and reads named layers on the way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from blackbox_am.errors import BlackboxError, OracleFailed, OutOfMemory
from blackbox_am.oracles._layers import OUTPUT, Run, tensor_of
from blackbox_am.oracles._reading import LayerReading

Ear = Callable[[nn.Module, torch.Tensor], None]

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
    """

    def __init__(self, module: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
        self.module = module.to(device=device, dtype=dtype).eval().requires_grad_(False)
        self.device = device
        self.dtype = dtype
        self._lock = _lock_of(module)
        if any(isinstance(m, nn.MultiheadAttention) for m in module.modules()):
            # PyTorch's fused attention is taken or not according to hooks and autograd, and
            # runs no hooks inside: the same stimulus would read other last bits from call to
            # call. The switch is global to the process.
            torch.backends.mha.set_fastpath_enabled(False)

    def layers(self) -> dict[str, nn.Module]:
        """The modules by dotted name, with `OUTPUT` for the model itself."""
        named = {name: module for name, module in self.module.named_modules() if name}
        named.setdefault(OUTPUT, self.module)
        return named

    def read(
        self, inputs: torch.Tensor, readers: Mapping[str, LayerReading]
    ) -> dict[str, torch.Tensor]:
        """Runs the model and returns, for each named layer, what its reader made of its output.

        A reader is called as soon as the layer has its output, before anything can change
        it in place. Where a layer runs several times, its last run counts, of those with the
        shape it was described with.

        Args:
            inputs: (N, ...), normalised.
            readers: how each layer is read.

        Raises:
            OracleFailed: where the model raises, or a layer did not run.
            OutOfMemory: where the batch does not fit.
        """
        found: dict[str, torch.Tensor] = {}

        def ear(name: str, reader: LayerReading) -> Ear:
            def hear(module: nn.Module, output: torch.Tensor) -> None:  # noqa: ARG001
                # A module that runs twice may have another shape the first time.
                if tuple(output.shape[1:]) == reader.layer.shape:
                    found[name] = reader(output)

            return hear

        self.listen([inputs], {name: ear(name, reader) for name, reader in readers.items()})
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
        ears: Mapping[str, Ear],
        prepare: Callable[[], None] | None = None,
    ) -> None:
        """Runs the model on each of several inputs; no other thread runs it meanwhile.

        Args:
            inputs: (N, ...) each, normalised.
            ears: for each named layer, what is called with the module and its output as soon
                as it has one.
            prepare: called before the first run.

        Raises:
            OracleFailed: where the model raises.
            OutOfMemory: where the batch does not fit.
        """
        modules = self.layers()

        def hook(ear: Ear) -> Callable[..., None]:
            def heard(module: nn.Module, args: Any, output: Any) -> None:  # noqa: ARG001
                tensor = tensor_of(output)
                if tensor is not None:
                    ear(module, tensor)

            return heard

        with self._lock, ExitStack() as hooks:
            for name, ear in ears.items():
                hooks.callback(modules[name].register_forward_hook(hook(ear)).remove)
            if prepare is not None:
                prepare()
            for batch in inputs:
                self._forward(batch)

    def dry_run(self, stimulus_shape: tuple[int, ...]) -> list[Run]:
        """Every module with a tensor output, in the order in which they were last done."""
        shapes: dict[str, tuple[int, ...]] = {}
        modules = self.layers()

        def hook(name: str) -> Callable[..., None]:
            def heard(module: nn.Module, args: Any, output: Any) -> None:  # noqa: ARG001
                tensor = tensor_of(output)
                if tensor is not None and tensor.ndim and len(tensor) == DRY_ROWS:
                    shapes.pop(name, None)
                    shapes[name] = tuple(tensor.shape[1:])

            return heard

        inputs = torch.zeros(DRY_ROWS, *stimulus_shape, device=self.device, dtype=self.dtype)
        with self._lock, ExitStack() as hooks, torch.no_grad():
            for name, module in modules.items():
                hooks.callback(module.register_forward_hook(hook(name)).remove)
            self._forward(inputs)
        return [Run(name, modules[name], shape) for name, shape in shapes.items()]

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
