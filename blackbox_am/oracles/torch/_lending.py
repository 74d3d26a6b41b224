"""Temporary use of a user's module, which is the same afterwards as before."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from blackbox_am.errors import InvalidSpec

_ATTENTION = threading.Lock()
_attending = [0, True]
"""Number of running calls that need attention without its fast path, and the former switch."""


@contextmanager
def lent(module: nn.Module, *, attends: bool) -> Iterator[None]:
    """The module in evaluation mode and with frozen parameters inside the context.

    The autograd graph of an answer ends at the stimuli. Parameters are also frozen without a graph,
    because PyTorch chooses other kernels, with other last bits, for parameters that require
    gradients. Afterwards the mode of each submodule and the gradient flags of the parameters are
    restored.

    Args:
        module: the module.
        attends: whether the module contains PyTorch's own attention.
    """
    training = [one for one in module.modules() if getattr(one, "training", False)]
    frozen = [one for one in module.parameters() if one.requires_grad and one.is_leaf]
    with _steady_attention() if attends else nullcontext():
        try:
            for one in training:
                one.training = False
            for parameter in frozen:
                parameter.requires_grad_(False)
            yield
        finally:
            for one in training:
                one.training = True
            for parameter in frozen:
                parameter.requires_grad_(True)


def private_copy(
    module: nn.Module, device: torch.device | None, dtype: torch.dtype | None
) -> nn.Module:
    """A copy of the module on a device, computing in `dtype`; complex weights stay complex.

    Args:
        module: stays as it is.
        device: where the copy is; where the module is, if None.
        dtype: of the copy's floating point weights; as they are, if None.

    Raises:
        InvalidSpec: if the module cannot be copied.
    """
    try:
        made: nn.Module = copy.deepcopy(module)
    except Exception as error:  # an attribute of the module may raise anything
        raise InvalidSpec(
            f"model: this {type(module).__name__} is needed in another precision or on another "
            f"device, and cannot be copied ({error}); convert it yourself, and leave out dtype "
            "and device",
            field="model",
        ) from error
    return converted(made, device, dtype).eval().requires_grad_(False)


class Following:
    """Keeps a private copy equal to the module that it was made of.

    PyTorch counts the changes of each parameter, so that a step of training, `load_state_dict` and
    any other operation in place show, but not changes through `tensor.data`. Batch norm changes
    its buffers without a count: buffers, which are small, are copied each time.

    Args:
        source: the module; it is not changed.
        copied: its private copy.
    """

    def __init__(self, source: nn.Module, copied: nn.Module) -> None:
        pairs = zip(source.parameters(), copied.parameters(), strict=True)
        self._parameters = [(one, own, one._version) for one, own in pairs]  # noqa: SLF001  # no public name
        self._buffers = list(zip(source.buffers(), copied.buffers(), strict=True))

    def catch_up(self) -> None:
        """Copies what may have changed since the last time."""
        with torch.no_grad():
            for place, (tensor, own, seen) in enumerate(self._parameters):
                version = tensor._version  # noqa: SLF001  # as above
                if version != seen:
                    own.copy_(tensor)
                    self._parameters[place] = (tensor, own, version)
            for buffer, copied in self._buffers:
                copied.copy_(buffer)


def converted(
    module: nn.Module, device: torch.device | None, dtype: torch.dtype | None
) -> nn.Module:
    """The module itself, moved and cast; complex weights become complex ones of that precision."""

    def convert(tensor: torch.Tensor) -> torch.Tensor:
        wanted = dtype
        if tensor.is_complex():
            wanted = None if dtype is None else _complex(dtype)
        elif not tensor.is_floating_point():
            wanted = None
        return tensor.to(device=device, dtype=wanted)

    # `Module.to` would drop the imaginary part of complex weights.
    made: nn.Module = module._apply(convert)  # type: ignore[no-untyped-call]  # noqa: SLF001  # used by `Module.to`
    return made


def is_as_wanted(module: nn.Module, device: torch.device | None, dtype: torch.dtype | None) -> bool:
    """Whether every tensor of the module is on the device, and every float in the precision."""
    for tensor in _tensors(module):
        if device is not None and tensor.device != _with_index(device):
            return False
        if dtype is not None and tensor.is_floating_point() and tensor.dtype != dtype:
            return False
    return True


def home_of(module: nn.Module) -> tuple[torch.device | None, torch.dtype | None]:
    """The device and the floating point type of a module's first weights; None without any."""
    tensors = list(_tensors(module))
    floats = [tensor.dtype for tensor in tensors if tensor.is_floating_point()]
    if not floats and any(tensor.dtype == torch.complex128 for tensor in tensors):
        floats = [torch.float64]
    return tensors[0].device if tensors else None, floats[0] if floats else None


def unwrapped(module: nn.Module) -> nn.Module:
    """The module inside the wrappers of `torch.compile` and `DataParallel`.

    Inside, layers have the names that they have in the user's code, and hooks run.
    """
    while True:
        inner: Any = getattr(module, "_orig_mod", None)
        if inner is None and isinstance(
            module, (nn.DataParallel, nn.parallel.DistributedDataParallel)
        ):
            inner = module.module
        if not isinstance(inner, nn.Module):
            return module
        module = inner


def _tensors(module: nn.Module) -> Iterator[torch.Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def _complex(dtype: torch.dtype) -> torch.dtype:
    return torch.complex128 if dtype == torch.float64 else torch.complex64


def _with_index(device: torch.device) -> torch.device:
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device


@contextmanager
def _steady_attention() -> Iterator[None]:
    """Keeps PyTorch's fused attention off.

    PyTorch uses fused attention depending on hooks and autograd, and runs no hooks inside it: the
    last bits of an activation would differ between calls. The switch is global to the process: the
    last call that needs the switch restores it.
    """
    with _ATTENTION:
        if not _attending[0]:
            _attending[1] = torch.backends.mha.get_fastpath_enabled()
            torch.backends.mha.set_fastpath_enabled(False)
        _attending[0] += 1
    try:
        yield
    finally:
        with _ATTENTION:
            _attending[0] -= 1
            if not _attending[0]:
                torch.backends.mha.set_fastpath_enabled(bool(_attending[1]))
