"""Entries of the catalogue by name, each built by itself when it is first used."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from blackbox_am.core import digests
from blackbox_am.errors import NotFound, did_you_mean

T = TypeVar("T")
Plain = Mapping[str, Any]

VARIANTS = 8
"""How many generators with a study's own parameters or inputs are kept for one entry. The least
recently used generator is dropped first.
"""


class Slot(Generic[T]):
    """One entry, built when it is first used. Building does not block other entries.

    Args:
        build: builds the entry; its argument replaces parameters of the entry.
    """

    def __init__(self, build: Callable[[Plain], T]) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._built: list[T] = []
        self._variants: OrderedDict[str, T] = OrderedDict()

    def get(self) -> T:
        """The entry with the operator's parameters."""
        if not self._built:
            with self._lock:
                if not self._built:
                    self._built.append(self._build({}))
        return self._built[0]

    def variant(self, parameters: Plain) -> T:
        """The entry with these parameters. Equal parameters return the same object while it is
        kept.
        """
        key = repr([(name, digests.of_value(parameters[name])) for name in sorted(parameters)])
        with self._lock:
            if key not in self._variants:
                self._variants[key] = self._build(parameters)
            self._variants.move_to_end(key)
            while len(self._variants) > VARIANTS:
                self._variants.popitem(last=False)
            return self._variants[key]


class Shelf(Generic[T]):
    """Entries of one noun, by name."""

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self.slots: dict[str, Slot[T]] = {}

    def slot(self, name: str) -> Slot[T]:
        """The entry called `name`.

        Raises:
            NotFound: if the name is unknown. The message lists similar names.
        """
        found = self.slots.get(name)
        if found is None:
            near = did_you_mean(name, self.slots)
            raise NotFound(f"no {self.noun} {name!r} in the catalogue{near}", field=self.noun)
        return found
