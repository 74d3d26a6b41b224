"""Temporary use of a user's module, which is the same afterwards as before."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from blackbox_am.core.code_changes import possibly_changed_attributes
from blackbox_am.errors import InvalidSpec

_ATTENTION = threading.Lock()
_MISSING = object()
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


class State:
    """The state of a module: its buffers, its tensors that are no parameters, and the attributes
    in which it stores tensors while it runs, such as the hidden state of a recurrent net.

    Args:
        module: the module.
    """

    def __init__(self, module: nn.Module) -> None:
        self._slots: list[tuple[dict[str, Any], str]] = []
        for part in module.modules():
            if isinstance(part, torch.jit.ScriptModule):
                continue
            buffers = part._buffers  # noqa: SLF001  # no public name gives the dict itself
            self._slots += [(buffers, name) for name in buffers]
            changed = possibly_changed_attributes(type(part)) | _tensor_attributes(part)
            changed -= vars(nn.Module()).keys() | buffers.keys()
            self._slots += [(vars(part), name) for name in changed]
        self._copies: dict[int, tuple[torch.Tensor, int, torch.Tensor]] = {}

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Afterwards the state is that of before, so that no call depends on the calls before."""
        before = [(owner, name, owner.get(name, _MISSING)) for owner, name in self._slots]
        copies = [self._copy(value) for _, _, value in before if isinstance(value, torch.Tensor)]
        try:
            yield
        finally:
            for owner, name, value in before:
                now = owner.get(name, _MISSING)
                if now is not value and _is_state(now) and _is_state(value):
                    if value is _MISSING:
                        del owner[name]
                    else:
                        owner[name] = value
            for tensor, version, copied in copies:
                if _version(tensor) != version:
                    with torch.no_grad():
                        tensor.copy_(copied)
                    self._copies[id(tensor)] = (tensor, _version(tensor), copied)

    def _copy(self, tensor: torch.Tensor) -> tuple[torch.Tensor, int, torch.Tensor]:
        known = self._copies.get(id(tensor))
        if known is None or known[0] is not tensor or known[1] != _version(tensor):
            known = self._copies[id(tensor)] = (tensor, _version(tensor), tensor.detach().clone())
        return known


def _tensor_attributes(part: nn.Module) -> frozenset[str]:
    """Attributes whose tensors `forward` can change through a view, such as `squeeze(self.a)`."""
    return frozenset(name for name, value in vars(part).items() if isinstance(value, torch.Tensor))


def _is_state(value: object) -> bool:
    """Whether an attribute holds tensors, or nothing yet."""
    if isinstance(value, (tuple, list)):
        return all(map(_is_state, value))
    return value is None or value is _MISSING or isinstance(value, torch.Tensor)


def _version(tensor: torch.Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version  # noqa: SLF001  # no public name


class Following:
    """Keeps a private copy equal to the module that it was made of.

    PyTorch counts the changes of each parameter, so that a step of training, `load_state_dict` and
    any other operation in place show, but not changes through `tensor.data`. Batch norm changes
    its buffers without a count: buffers, which are small, are copied each time, and so are weights
    that were made in inference mode, which have no count.

    Args:
        source: the module; it is not changed.
        copied: its private copy.
    """

    def __init__(self, source: nn.Module, copied: nn.Module) -> None:
        pairs = list(zip(source.parameters(), copied.parameters(), strict=True))
        self._parameters = [
            (one, own, _version(one)) for one, own in pairs if not one.is_inference()
        ]
        uncounted = [(one, own) for one, own in pairs if one.is_inference()]
        self._buffers = [*uncounted, *zip(source.buffers(), copied.buffers(), strict=True)]

    def catch_up(self) -> None:
        """Copies what may have changed since the last time."""
        with torch.no_grad():
            for place, (tensor, own, seen) in enumerate(self._parameters):
                version = _version(tensor)
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
    """Whether every tensor of the module is on the device, and every float in the precision, and
    autograd can use them: it cannot use tensors that were made in inference mode.
    """
    for tensor in _tensors(module):
        if tensor.is_inference():
            return False
        if device is not None and tensor.device != _with_index(device):
            return False
        if dtype is not None and tensor.is_floating_point() and tensor.dtype != dtype:
            return False
    return True


def home_of(module: nn.Module) -> tuple[torch.device | None, list[torch.dtype]]:
    """The device of a module's first weights, None without any, and the floating point types of
    its weights, in their order.
    """
    tensors = list(_tensors(module))
    floats = [tensor.dtype for tensor in tensors if tensor.is_floating_point()]
    if not floats and any(tensor.dtype == torch.complex128 for tensor in tensors):
        floats = [torch.float64]
    return tensors[0].device if tensors else None, list(dict.fromkeys(floats))


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
