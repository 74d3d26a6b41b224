"""Constant tensors, created once and copied once to each device."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch

Tensors = tuple[torch.Tensor, ...]


class Constants:
    """Tensors that a computation uses repeatedly.

    The class is thread-safe: two threads that request the tensors on a new device at once both copy
    them, and the copies are equal.

    Args:
        make: creates the tensors on the CPU; called at the first request.
    """

    def __init__(self, make: Callable[[], Tensors]) -> None:
        self._make = make
        self._there: dict[torch.device, Tensors] = {}

    def on(self, device: torch.device) -> Tensors:
        """The tensors on `device`."""
        found = self._there.get(device)
        if found is None:
            # Tensors that are created in inference mode cannot be used in a differentiated
            # computation.
            with torch.inference_mode(False), torch.no_grad():
                found = tuple(tensor.to(device) for tensor in self._made)
            self._there[device] = found
        return found

    @cached_property
    def _made(self) -> Tensors:
        return self._make()
