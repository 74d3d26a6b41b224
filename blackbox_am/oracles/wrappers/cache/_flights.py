"""Who asks for what right now, so that nobody else asks for it too."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from blackbox_am.oracles.wrappers.cache._answers import AnswerBook


class Flights:
    """Stimuli that this process asks for right now, so that no other thread does too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[bytes, threading.Event] = {}

    def board(self, keys: Sequence[bytes]) -> tuple[list[bytes], list[threading.Event]]:
        """Those of `keys` that are now the caller's to ask for, and what to wait for else."""
        with self._lock:
            mine = [key for key in keys if key not in self._under_way]
            others = {id(e): e for k in keys if (e := self._under_way.get(k)) is not None}
            landed = threading.Event()
            self._under_way.update(dict.fromkeys(mine, landed))
        return mine, list(others.values())

    def land(self, keys: Sequence[bytes]) -> None:
        """Their answers are in, or will not come."""
        with self._lock:
            for key in keys:
                self._under_way.pop(key).set()


@dataclass(frozen=True)
class Shelf:
    """What an open cache holds."""

    book: AnswerBook
    flights: Flights

    @contextmanager
    def boarding(
        self, keys: Sequence[bytes], *, claim: bool
    ) -> Iterator[tuple[list[bytes], list[threading.Event]]]:
        """Those of `keys` that nobody else asks for meanwhile, and what to wait for else.

        Args:
            claim: whether other processes are to be kept from it too.
        """
        mine, others = self.flights.board(keys)
        try:
            if not claim or not mine:
                yield mine, others
                return
            ours = self.book.claim(mine)
            if len(ours) < len(mine):
                others.append(threading.Event())  # nobody tells us: look again after a while
            try:
                yield ours, others
            finally:
                self.book.release(ours)
        finally:
            self.flights.land(mine)
