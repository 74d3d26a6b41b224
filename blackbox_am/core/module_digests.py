"""Digests of what a torch module computes, apart from its weights: its classes, the attributes of
its submodules, and its hooks.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
from argparse import Namespace
from collections import deque
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any

import numpy as np
import torch
from torch import nn

from blackbox_am.core.array_digests import Hash, add_array, add_tensor, add_text
from blackbox_am.core.code_changes import (
    changed_arguments,
    changed_attributes,
    changed_by,
    inside,
)
from blackbox_am.core.code_digests import (
    attribute_names,
    called_methods,
    code_of,
    code_text,
    global_names,
    is_installed,
    only_observes,
    own_code,
    own_values,
)

_DEEPEST = 8
_OF_EVERY_MODULE = frozenset(dir(nn.Module())) - {"forward"}
_NUMBERS = (bool, int, float, complex, Decimal, Fraction, np.generic)
_PLAIN = (
    *_NUMBERS,
    *(str, bytes, bytearray, re.Pattern, range, slice),
    *(torch.dtype, torch.Size, type(None)),
)
"""Types whose `repr` is their whole content."""
_CONTAINERS = (list, tuple, deque, set, frozenset, Mapping)
_ADDRESS = re.compile(r" at 0x[0-9a-f]+", re.IGNORECASE)
_VOLATILE = ("transformers_version",)
"""Entries of a configuration of transformers without influence on what a model computes."""


def add_structure(digest: Hash, module: nn.Module) -> None:
    """Add everything that the module computes with, except the tensors of its state, to `digest`.

    This is, for each submodule: the class, its printed description, the attributes, the hooks that
    may change values, and a `forward` that replaces that of the class. The code of classes and
    functions outside the installed packages is added too, because its owner edits it, with the
    constants and functions that the code uses.

    What changes when the module runs, such as a counter of calls or a cache, is left out, whether
    the module has run or not; `code_changes` says how it is recognised.
    """
    if isinstance(module, torch.jit.ScriptModule):
        add_text(digest, str(module.inlined_graph))
        return
    _Walk(digest).structure(module)


def add_class(digest: Hash, kind: type) -> None:
    """Add the code of a class outside the installed packages, and its constants, to `digest`."""
    _Walk(digest).kind(kind)


class _Walk:
    """Adds values to a digest, each object once."""

    def __init__(self, digest: Hash, seen: Mapping[int, tuple[int, object]] | None = None) -> None:
        self._digest = digest
        self._seen = dict(seen or {})  # with the objects, so that no address is used again
        self._changed: frozenset[str] = frozenset()  # by the class whose functions are added

    def structure(self, module: nn.Module) -> None:
        kinds: dict[type, None] = {}
        for name, part in module.named_modules():
            self._seen.setdefault(id(part), (len(self._seen), part))
            kind = type(part)
            kinds[kind] = None
            self._text(f"{name}:{_named(kind)}({_ADDRESS.sub('', part.extra_repr())})")
            if isinstance(part, torch.fx.GraphModule):  # a class of its own, made for the graph
                self._text(part.code)
            for key, value in sorted(_attributes(part)):
                self._text(key)
                self.add(value)
            self._hooks(part)
        for kind in kinds:
            self._class(kind)

    def add(self, value: object, depth: int = 0) -> None:
        """Add a value; of an object of unknown content only its class."""
        if isinstance(value, _PLAIN):
            self._text(repr(value))
        elif isinstance(value, Enum):
            self._text(f"{_named(type(value))}.{value.name}")
            self.add(value.value, depth)
        elif isinstance(value, torch.Tensor):
            add_tensor(self._digest, value)
        elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
            add_array(self._digest, value)
        elif id(value) in self._seen:
            self._text(f"again {self._seen[id(value)][0]}")
        elif depth < _DEEPEST:
            self._seen[id(value)] = (len(self._seen), value)
            self._object(value, depth + 1)

    def _object(self, value: object, depth: int) -> None:
        if isinstance(value, _CONTAINERS):
            self._container(value, depth)
        elif isinstance(value, np.ndarray):  # of Python objects
            self._text(f"array{value.shape}")
            self._items([("", item) for item in value.ravel().tolist()], depth)
        elif isinstance(value, (functools.partial, functools.partialmethod)):
            self._items([("func", value.func), ("args", value.args), ("kw", value.keywords)], depth)
        elif isinstance(value, MethodType):
            self.add(value.__self__, depth)
            self.add(value.__func__, depth)
        elif isinstance(value, (FunctionType, BuiltinFunctionType)):
            self._function(value, depth)
        elif isinstance(value, nn.Module):
            if not isinstance(value, torch.jit.ScriptModule):
                self.structure(value)
            self._items(sorted(value.state_dict().items()), depth)
        elif isinstance(value, type):
            self._class(value)
        else:
            self._text(_named(type(value)))
            self._items(sorted(_contents(value)), depth)

    def _container(self, value: Any, depth: int) -> None:
        self._text(f"{type(value).__name__}{len(value)}")
        if isinstance(value, Mapping):
            names = [(self._name(key, depth), item) for key, item in value.items()]
            self._items(sorted(names, key=lambda pair: pair[0]), depth)
        elif isinstance(value, (set, frozenset)):
            for name in sorted(self._name(item, depth) for item in value):
                self._text(name)
        else:
            self._items([("", item) for item in value], depth)

    def _name(self, value: object, depth: int) -> str:
        """A text for a key or a member of a set, which is the same in every process: the order of
        a set and the `repr` of a function are not.
        """
        if isinstance(value, _PLAIN):
            return repr(value)
        digest = hashlib.blake2b(digest_size=16)
        _Walk(digest, self._seen).add(value, depth)
        return digest.hexdigest()

    def _items(self, items: list[tuple[str, Any]], depth: int) -> None:
        for key, item in items:
            self._text(key)
            self.add(item, depth)

    def _function(self, function: Any, depth: int) -> None:
        home = getattr(function, "__module__", None) or ""
        self._text(f"{home if is_installed(home) else ''}.{function.__qualname__}")
        code = code_of(function)
        if code is None:
            return
        changed = self._changed | changed_by(function)
        self._items(list(_defaults(function, code)), depth)
        cells = zip(code.co_freevars, function.__closure__ or (), strict=False)
        for name, cell in cells:
            if name not in changed and name != "__class__":
                self.add(inside(cell), depth)
        if not is_installed(home):
            self._text(code_text(code))
            self._globals(function, changed, depth)

    def kind(self, kind: type) -> None:
        """Add the code of a class and the attributes that its code does not change."""
        self._text(own_code(kind))
        changed = changed_attributes(kind)
        for name, value in own_values(kind):
            if name not in changed:
                self._text(name)
                self.add(value)

    def _class(self, kind: type) -> None:
        if not own_code(kind):
            return
        self.kind(kind)
        before, self._changed = self._changed, self._changed | changed_attributes(kind)
        for member in called_methods(kind):
            function = getattr(member, "__func__", getattr(member, "fget", member))
            if not is_installed(getattr(function, "__module__", None) or ""):
                self._globals(function, self._changed, 0)
        self._changed = before

    def _globals(self, function: Any, changed: frozenset[str], depth: int) -> None:
        """Add the constants and the user's own functions that a function of the user reads."""
        code = code_of(function)
        known = getattr(function, "__globals__", {})
        if code is None:
            return
        for name in sorted(global_names(code) - changed):
            value = known.get(name)
            if isinstance(value, ModuleType) and not is_installed(value.__name__):
                for inner in sorted(attribute_names(code) & vars(value).keys()):
                    self._global(inner, vars(value)[inner], depth)
            else:
                self._global(name, value, depth)

    def _global(self, name: str, value: object, depth: int) -> None:
        own = isinstance(value, (FunctionType, type)) and not is_installed(value.__module__)
        kinds = (
            *_PLAIN,
            *_CONTAINERS,
            Enum,
            torch.Tensor,
            np.ndarray,
            nn.Module,
            functools.partial,
        )
        if own or (value is not None and isinstance(value, kinds)):
            self._text(name)
            self.add(value, depth)

    def _hooks(self, part: nn.Module) -> None:
        for hooks in (part._forward_pre_hooks, part._forward_hooks):  # noqa: SLF001  # no public name
            for hook in tuple(hooks.values()):
                owner = hook if isinstance(hook, (FunctionType, MethodType)) else type(hook)
                code = code_of(hook)
                observes = code is not None and only_observes(code)
                if not observes and not is_installed(getattr(owner, "__module__", None) or ""):
                    self._text("hook")
                    self.add(hook)

    def _text(self, text: str) -> None:
        add_text(self._digest, text)


def _attributes(part: nn.Module) -> Iterator[tuple[str, object]]:
    """The attributes of a module that are no submodules and no state."""
    kind = type(part)
    private = any(
        base.__module__.partition(".")[0] != "torch" and is_installed(base.__module__)
        for base in kind.__mro__
        if base is not object
    ) or is_installed(kind.__module__)
    changed = changed_attributes(kind)
    for name, value in vars(part).items():
        hidden = name in _OF_EVERY_MODULE or (private and name.startswith("_"))
        if not hidden and name not in changed:
            yield name, value


def _defaults(function: Any, code: CodeType) -> Iterator[tuple[str, object]]:
    """The default values of a function's parameters, without a cache that the function fills."""
    changed = changed_arguments(function)
    values = function.__defaults__ or ()
    names = code.co_varnames[: code.co_argcount][code.co_argcount - len(values) :]
    for name, value in (*zip(names, values, strict=True), *(function.__kwdefaults__ or {}).items()):
        if name not in changed:
            yield name, value


def _contents(value: object) -> Iterator[tuple[str, object]]:
    """The content of an object by name, where it is known; nothing for other objects."""
    kind = type(value)
    if callable(getattr(value, "to_dict", None)) and kind.__name__.endswith("Config"):
        found: Mapping[str, object] = value.to_dict()  # type: ignore[attr-defined]
        yield from ((k, v) for k, v in found.items() if k[:1] != "_" and k not in _VOLATILE)
    elif dataclasses.is_dataclass(value):
        yield from ((one.name, getattr(value, one.name)) for one in dataclasses.fields(value))
    elif isinstance(value, (Namespace, SimpleNamespace)):
        yield from vars(value).items()
    elif not is_installed(kind.__module__):
        yield "", kind
        changed = changed_attributes(kind)
        yield from ((k, v) for k, v in getattr(value, "__dict__", {}).items() if k not in changed)


def _named(kind: type) -> str:
    home = f"{kind.__module__}." if is_installed(kind.__module__) else ""
    return f"{home}{kind.__qualname__}"
