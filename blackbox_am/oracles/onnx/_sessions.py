"""The open sessions of an ONNX oracle."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

MOST = 32
MOST_BYTES = 2**30
"""Limits of the open sessions: their number, and the sum of the sizes of their graphs. The last
session is always kept.
"""


class Sessions:
    """Sessions by the names of the tensors at which their graphs end. Safe to use from any thread.

    Each session has its own copy of the weights, so those that were not used for the longest time
    are dropped when there are too many.
    """

    def __init__(self) -> None:
        self._opened: dict[tuple[str, ...], tuple[Any, int]] = {}
        self._lock = threading.Lock()

    def get(
        self, names: tuple[str, ...], make: Callable[[], bytes], start: Callable[[bytes], Any]
    ) -> Any:
        """The session that ends at the tensors `names`.

        Args:
            names: of tensors.
            make: makes the graph.
            start: opens a session for a graph.
        """
        with self._lock:
            found = self._opened.pop(names, None)
            if found is None:
                graph = make()
                found = start(graph), len(graph)
                while self._opened and self._full(len(graph)):
                    del self._opened[next(iter(self._opened))]
            self._opened[names] = found  # the last used stands last
            return found[0]

    def _full(self, size: int) -> bool:
        """Whether a further graph of `size` bytes is too much."""
        taken = sum(size for _, size in self._opened.values())
        return len(self._opened) >= MOST or taken + size > MOST_BYTES

    def __len__(self) -> int:
        return len(self._opened)
