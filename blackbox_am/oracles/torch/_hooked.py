"""Runs a PyTorch model and records named layers with forward hooks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from types import MappingProxyType
from typing import Any, cast
from weakref import WeakKeyDictionary

import torch
from threadpoolctl import ThreadpoolController
from torch import nn

from blackbox_am.errors import BlackboxError, OracleFailed, OutOfMemory
from blackbox_am.oracles.torch._hints import hint_of
from blackbox_am.oracles.torch._lending import (
    Following,
    State,
    home_of,
    is_as_wanted,
    lent,
    private_copy,
)
from blackbox_am.oracles.torch._places import Place, own_output, places_of
from blackbox_am.oracles.torch._redirected import redirecting
from blackbox_am.oracles.torch._survey import Found, Survey, survey

Hook = Callable[[nn.Module, torch.Tensor], None]
Change = Callable[[torch.Tensor], torch.Tensor]
Reader = Callable[[torch.Tensor], torch.Tensor]
"""What is kept of a layer's output, such as a `LayerReading`."""

_LOCKS: WeakKeyDictionary[nn.Module, threading.Lock] = WeakKeyDictionary()
_LOCKS_LOCK = threading.Lock()


def _lock_of(module: nn.Module) -> threading.Lock:
    """The lock of `module`, shared by all oracles on it, so that hooks see only their own run."""
    with _LOCKS_LOCK:
        return _LOCKS.setdefault(module, threading.Lock())


class _Stop(BaseException):
    """Ends a forward pass after the last recorded layer. An `except Exception` does not catch
    it.
    """


def _changing(change: Change) -> Callable[..., torch.Tensor]:
    def changed(module: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor:  # noqa: ARG001
        return change(output)

    return changed


def _one_thread() -> AbstractContextManager[Any]:
    """Runs PyTorch's operators on the calling thread alone.

    A survey runs thousands of small operators. On a busy machine, most of the time would be spent
    waiting for the other threads of each (seen: 15 s in place of 0.5 s). The limit is that of
    OpenMP for the calling thread: the searches of other threads keep their number, and their bits.
    """
    controller = ThreadpoolController().select(user_api="openmp")
    return cast(AbstractContextManager[Any], controller.limit(limits=1))


class HookedModel:
    """A module whose layers can be recorded. The module itself is not changed.

    A module on the wanted device and in the wanted precision runs as it is, in evaluation mode
    during a call. For any other module, a private copy is created once and kept equal to it.

    Safe to call from any thread: one forward pass runs at a time.

    Args:
        module: the model.
        device: device of the computation; the module's device if None.
        dtype: dtype of the computation; the dtype of the module's weights if None.
        rows: smallest and largest number of stimuli in one batch; None for any number.
        redirects: whether ReLUs have redirected gradients, see `_redirected`.

    Attributes:
        module: the module that runs: the original or the copy.
        device: device of the computation.
        dtype: dtype of the input.
        places: place of each layer, by name.
        output: name of the model's own output.
    """

    def __init__(
        self,
        module: nn.Module,
        device: torch.device | None,
        dtype: torch.dtype | None,
        rows: tuple[int, int | None] = (1, None),
        *,
        redirects: bool = False,
    ) -> None:
        kept = is_as_wanted(module, device, dtype)
        self.module = module if kept else private_copy(module, device, dtype)
        self._following = None if kept else Following(module, self.module)
        self._state = State(self.module)
        home, precisions = home_of(self.module)
        self.device = device or home or torch.device("cpu")
        self.dtype = dtype or next(iter(precisions), torch.float32)
        self._precisions = precisions
        self.rows = rows
        self.places = places_of(self.module)
        self.output = own_output([name for name, _ in self.module.named_modules()])
        self._found: dict[str, Found] = {}
        self._redirects = redirects
        self._lock = _lock_of(self.module)
        self._attends = any(isinstance(m, nn.MultiheadAttention) for m in self.module.modules())

    def read(
        self,
        inputs: torch.Tensor,
        readers: Mapping[str, Reader],
        changes: Mapping[str, Change] = MappingProxyType({}),
    ) -> dict[str, torch.Tensor]:
        """Run the model and return, for each named layer, the result of its reader on its output.

        A reader is called as soon as the layer has its output, before the output can change in
        place. The forward pass ends after the last reader. If a layer runs several times, its last
        run with the described shape counts. If the model accepts only certain numbers of rows, the
        batch is split and the last part is padded with zeros.

        Args:
            inputs: (N, ...), normalised.
            readers: function from the output of each layer to the result.
            changes: for each layer to change, a function from its output to the changed one, which
                later layers and readers get.

        Raises:
            OracleFailed: if the model raises, or if a layer did not run.
            OutOfMemory: if the batch does not fit into memory.
        """
        fewest, most = self.rows
        parts = []
        for piece in torch.split(inputs, most) if most else [inputs]:
            missing = max(fewest - len(piece), 0)
            filled = torch.cat([piece, piece.new_zeros(missing, *piece.shape[1:])])
            found = self._read(filled if missing else piece, readers, changes)
            parts.append({name: values[: len(piece)] for name, values in found.items()})
        if len(parts) == 1:
            return parts[0]
        return {name: torch.cat([part[name] for part in parts]) for name in readers}

    def _read(
        self,
        inputs: torch.Tensor,
        readers: Mapping[str, Reader],
        changes: Mapping[str, Change],
    ) -> dict[str, torch.Tensor]:
        found: dict[str, torch.Tensor] = {}
        waiting = {name: self._found[name].runs for name in readers}

        def reader_hook(name: str, reader: Reader) -> Hook:
            def record(module: nn.Module, output: torch.Tensor) -> None:  # noqa: ARG001
                # A module that runs twice may have another shape the first time.
                values = self._found[name].layout.arranged(output, len(inputs))
                if values is not None:
                    found[name] = reader(values)
                waiting[name] = waiting.get(name, 1) - 1
                if waiting[name] <= 0:
                    del waiting[name]
                if not waiting and len(found) == len(readers):
                    raise _Stop

            return record

        hooks = {name: reader_hook(name, reader) for name, reader in readers.items()}
        self.listen([inputs], hooks, changes=changes)
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
        changes: Mapping[str, Change] = MappingProxyType({}),
    ) -> None:
        """Run the model on each of several inputs; no other thread runs it in between.

        Args:
            inputs: (N, ...) each, normalised.
            hooks_by_layer: for each named layer, a function that is called with the module and its
                output.
            prepare: called before the first run.
            changes: see `read`.

        Raises:
            OracleFailed: if the model raises.
            OutOfMemory: if the batch does not fit into memory.
        """

        def hook(place: Place, record: Hook) -> Callable[..., None]:
            def hooked(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
                tensor = place.read(args, kwargs, output)
                if tensor is not None:
                    record(module, tensor)

            return hooked

        with self._lock, self._lent(), self._state.kept(), ExitStack() as hooks:
            if self._redirects:  # before the hooks that record, which get the new outputs
                hooks.enter_context(redirecting(self._row_axes()))
            for name, change in changes.items():  # before the hooks that record, too
                changed = self._found[name].place.module.register_forward_hook(_changing(change))
                hooks.callback(changed.remove)
            for name, record in hooks_by_layer.items():
                place = self._found[name].place
                handle = place.module.register_forward_hook(hook(place, record), with_kwargs=True)
                hooks.callback(handle.remove)
            if prepare is not None:
                prepare()
            for batch in inputs:
                self._forward(batch)

    def _row_axes(self) -> dict[nn.Module, int]:
        """For each module whose output is a layer, the axis of its output that has the stimuli."""
        return {
            found.place.module: found.layout.rows.axis
            for name, found in self._found.items()
            if not found.head
        }

    def survey(
        self, stimulus_shape: tuple[int, ...], prepare: Callable[[], None] | None = None
    ) -> Survey:
        """Find the layers of the model; must be called before a layer is read.

        The inputs of a module with weights of several precisions have the first of these precisions
        with which the module runs, which is then `dtype`.

        Args:
            stimulus_shape: shape of one stimulus.
            prepare: called before each run.

        Raises:
            OracleFailed: if the model raises.
        """
        try:
            return self._surveyed(stimulus_shape, prepare)
        except OracleFailed as error:
            first, *others = self._precisions or [self.dtype]
            for self.dtype in others:
                with suppress(OracleFailed):
                    return self._surveyed(stimulus_shape, prepare)
            self.dtype = first
            hint = self._hint(error, stimulus_shape)
            if hint:
                raise OracleFailed(f"{error.message.rstrip('.')}. {hint}") from error
            if not others:
                raise
            names = " and ".join(str(dtype).removeprefix("torch.") for dtype in self._precisions)
            raise OracleFailed(
                f"{error.message}. Its weights are {names}; give dtype='float32' to have a copy of "
                "the module in one precision"
            ) from error

    def _hint(self, error: OracleFailed, stimulus_shape: tuple[int, ...]) -> str:
        fewest, _ = self.rows
        stimuli = torch.rand(max(fewest, 2), *stimulus_shape).to(self.device, self.dtype)
        with self._lock, self._lent(), self._state.kept():
            return hint_of(error.message, self.module, self._forward, stimuli)

    def _surveyed(
        self, stimulus_shape: tuple[int, ...], prepare: Callable[[], None] | None
    ) -> Survey:
        def forward(inputs: torch.Tensor) -> None:
            with self._state.kept():  # the runs have different numbers of rows
                if prepare is not None:
                    prepare()
                self._forward(inputs)

        like = torch.empty(0, device=self.device, dtype=self.dtype)
        with self._lock, self._lent(), _one_thread():
            done = survey(self.module, self.places, forward, stimulus_shape, self.rows, like)
        self._found = {found.name: found for found in done.found}
        return done

    def arranged(self, name: str, values: torch.Tensor, rows: int) -> torch.Tensor | None:
        """Values (rows, *shape) recorded from a layer; None if they have another shape."""
        return self._found[name].layout.arranged(values, rows)

    def has_gradients(self, stimulus_shape: tuple[int, ...]) -> bool:
        """Whether the model's output is differentiable with respect to its stimuli.

        Raises:
            OracleFailed: if the model raises.
        """
        fewest, _ = self.rows
        inputs = torch.zeros(
            fewest, *stimulus_shape, device=self.device, dtype=self.dtype, requires_grad=True
        )
        heard: list[torch.Tensor] = []
        if self.output not in self._found:
            return False
        with torch.enable_grad():
            self.listen([inputs], {self.output: lambda _, output: heard.append(output)})
            try:
                torch.autograd.grad(heard[-1].sum(), inputs)
            except (RuntimeError, IndexError):  # autograd has no exception class of its own
                return False
        return True

    def _lent(self) -> AbstractContextManager[None]:
        if self._following is not None:
            self._following.catch_up()
        return lent(self.module, attends=self._attends)

    def _forward(self, inputs: torch.Tensor) -> None:
        try:
            self.module(inputs)
        except _Stop:
            return
        except BlackboxError:
            raise
        except (torch.cuda.OutOfMemoryError, MemoryError) as error:
            raise OutOfMemory(
                f"a batch of {len(inputs)} stimuli does not fit into the memory of "
                f"{self.device}; give the oracle a smaller batch_size"
            ) from error
        except Exception as error:  # any exception of the model is a failure of the model
            raise OracleFailed(
                f"the model raised {type(error).__name__} on inputs of shape "
                f"{tuple(inputs.shape)}: {error}"
            ) from error
