"""Digests of objects in memory: torch modules and programs, tensors, arrays and bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from blackbox_am.core.array_digests import Hash, add_array, add_tensor, add_text
from blackbox_am.core.code_changes import changed_attributes
from blackbox_am.core.module_digests import add_structure

_PLAIN = (bool, int, float, complex, str, bytes, bytearray, torch.dtype)


def add(digest: Hash, value: object) -> bool:
    """Add a value's content to `digest`.

    Returns:
        Whether the whole content is known. The content of an arbitrary object is not.
    """
    if isinstance(value, nn.Module):
        return _add_module(digest, value)
    if isinstance(value, torch.export.ExportedProgram):
        add_text(digest, value.graph_module.code)
        return _add_items(digest, [*value.state_dict.items(), *sorted(value.constants.items())])
    if isinstance(value, torch.Tensor):
        add_tensor(digest, value)
        return True
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        add_array(digest, value)
        return True
    if isinstance(value, (tuple, list)):
        return _add_items(digest, [(str(place), item) for place, item in enumerate(value)])
    if isinstance(value, Mapping):
        if not all(_has_fixed_text(key) for key in value):
            return False
        return _add_items(digest, [(repr(key), value[key]) for key in sorted(value, key=repr)])
    if value is None or isinstance(value, _PLAIN):
        add_text(digest, repr(value))
        return True
    return isinstance(value, torch.ScriptObject) and _add_packed(digest, value)


def _has_fixed_text(key: object) -> bool:
    """Whether the `repr` of a key is the same in every process."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(part is None or isinstance(part, _PLAIN) for part in parts)


def _add_packed(digest: Hash, value: Any) -> bool:
    """Add the packed weights of a quantised layer."""
    known: bool = value._has_method("__getstate__")  # noqa: SLF001  # has no public name
    return known and add(digest, value.__getstate__())


def _add_module(digest: Hash, module: nn.Module) -> bool:
    add_structure(digest, module)
    state = module.state_dict()
    return _add_items(digest, [*state.items(), *_other_buffers(module, state)])


def _other_buffers(
    module: nn.Module, state: Mapping[str, Any]
) -> Iterator[tuple[str, torch.Tensor]]:
    """Buffers outside the state dict, without those that change when the module runs, such as a
    mask that is made for the length of a sequence, or the state of a spiking neuron.
    """
    for prefix, part in module.named_modules():
        if hasattr(part, "init_hidden"):
            continue
        changed = changed_attributes(type(part))
        for name, buffer in part.named_buffers(prefix, recurse=False):
            if name not in state and name.rpartition(".")[2] not in changed:
                yield name, buffer


def _add_items(digest: Hash, items: list[tuple[str, Any]]) -> bool:
    add_text(digest, f"{len(items)}[")
    for name, value in items:
        add_text(digest, name)
        if not add(digest, value):
            return False
    return True
