"""Digests of objects in memory: torch modules and programs, tensors, arrays and bytes."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

_LIBRARY_FOLDERS = ("site-packages", "dist-packages")
_PACKAGES = ("torch", "blackbox_am", "builtins")


class Hash(Protocol):
    """A hash object of `hashlib`."""

    def update(self, data: Any, /) -> object:
        """Add bytes to the hash."""


def add(digest: Hash, value: object) -> bool:
    """Add a value's content to `digest`.

    Returns:
        Whether the whole content is known. The content of an arbitrary object is not.
    """
    if isinstance(value, nn.Module):
        return _add_module(digest, value)
    if isinstance(value, torch.export.ExportedProgram):
        _add_text(digest, value.graph_module.code)
        return _add_items(digest, [*value.state_dict.items(), *sorted(value.constants.items())])
    if isinstance(value, torch.Tensor):
        _add_tensor(digest, value.detach())
        return True
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        _add_text(digest, f"{value.dtype.str}{value.shape}")
        digest.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
        return True
    if isinstance(value, (bytes, bytearray)):
        digest.update(value)
        return True
    if isinstance(value, (tuple, list)):
        return _add_items(digest, [(str(place), item) for place, item in enumerate(value)])
    if isinstance(value, Mapping):
        return _add_items(digest, [(repr(key), value[key]) for key in sorted(value, key=repr)])
    if value is None or isinstance(value, (bool, int, float, complex, str, torch.dtype)):
        _add_text(digest, repr(value))
        return True
    return False


def add_structure(digest: Hash, module: nn.Module) -> None:
    """Add the classes of all submodules, and their printed descriptions, to `digest`.

    The code of a class outside the installed packages is added too, because its owner edits it.
    Attributes of a module that are floating-point numbers are added; integers are not, because many
    modules count their calls in an integer.
    """
    if isinstance(module, torch.jit.ScriptModule):
        _add_text(digest, str(module.inlined_graph))
        return
    kinds = set()
    for name, part in module.named_modules():
        kind = type(part)
        kinds.add(kind)
        home = f"{kind.__module__}." if _is_installed(kind) else ""
        _add_text(digest, f"{name}:{home}{kind.__qualname__}({part.extra_repr()})")
        numbers = {key: value for key, value in vars(part).items() if isinstance(value, float)}
        _add_text(digest, repr(sorted(numbers.items())))
    for code in sorted(own_code(kind) for kind in kinds):
        _add_text(digest, code)


def _add_module(digest: Hash, module: nn.Module) -> bool:
    add_structure(digest, module)
    state = module.state_dict()
    return _add_items(digest, [*state.items(), *_other_buffers(module, state)])


def _other_buffers(
    module: nn.Module, state: Mapping[str, Any]
) -> Iterator[tuple[str, torch.Tensor]]:
    """Buffers outside the state dict, without those in which a spiking neuron stores its state."""
    for prefix, part in module.named_modules():
        if hasattr(part, "init_hidden"):
            continue
        for name, buffer in part.named_buffers(prefix, recurse=False):
            if name not in state:
                yield name, buffer


def _add_items(digest: Hash, items: list[tuple[str, Any]]) -> bool:
    _add_text(digest, f"{len(items)}[")
    for name, value in items:
        _add_text(digest, name)
        if not add(digest, value):
            return False
    return True


def _add_tensor(digest: Hash, tensor: torch.Tensor) -> None:
    _add_text(digest, f"{tensor.dtype}{tuple(tensor.shape)}{tensor.layout}")
    if tensor.is_meta:
        return
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    if tensor.is_quantized:
        _add_text(digest, str(tensor.qscheme()))
        if tensor.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
            _add_text(digest, f"{tensor.q_scale()!r},{tensor.q_zero_point()!r}")
        else:
            _add_tensor(digest, tensor.q_per_channel_scales())
            _add_tensor(digest, tensor.q_per_channel_zero_points())
        tensor = tensor.int_repr()
    flat = tensor.cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    digest.update(flat.view(torch.uint8).numpy().data)


def _add_text(digest: Hash, text: str) -> None:
    digest.update(f"{len(text)}:{text}".encode(errors="surrogatepass"))


def own_code(kind: type) -> str:
    """The code and the constants of a class outside the installed packages, and of its bases.

    The code is read as bytecode, so comments and line numbers have no effect, and a class that was
    typed into an interpreter can be read too. Another version of Python may compile other bytecode.
    """
    own = (base for base in kind.__mro__ if not _is_installed(base))
    return "\n".join(f"{base.__qualname__}:{_members(base)}" for base in own)


def _members(kind: type) -> str:
    found = []
    for name, member in sorted(vars(kind).items()):
        function = getattr(member, "__func__", getattr(member, "fget", member))
        function = inspect.unwrap(function) if callable(function) else function
        code = getattr(function, "__code__", None)
        if isinstance(code, CodeType) and code.co_filename != "<string>":  # methods of a dataclass
            found.append(f"{name}={_code(code)}")
        elif isinstance(member, (int, float, str, tuple)) and not name.startswith("__"):
            found.append(f"{name}={member!r}")
    return ";".join(found)


def _code(code: CodeType) -> str:
    return f"{code.co_code.hex()},{code.co_names},{[_constant(one) for one in code.co_consts]}"


def _constant(value: object) -> str:
    if isinstance(value, CodeType):
        return _code(value)
    if isinstance(value, frozenset):  # their order differs between processes
        return str(sorted(map(_constant, value)))
    if isinstance(value, tuple):
        return str([_constant(item) for item in value])
    return repr(value)


def _is_installed(kind: type) -> bool:
    root = kind.__module__.partition(".")[0]
    if root in sys.stdlib_module_names or root in _PACKAGES:
        return True
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return file is not None and any(folder in Path(file).parts for folder in _LIBRARY_FOLDERS)
