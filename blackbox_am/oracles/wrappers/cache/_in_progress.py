"""Stimuli that are being measured, so that no other thread or process measures them too."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from blackbox_am.oracles.wrappers.cache._answers import AnswerBook


class InProgress:
    """Stimuli that threads of this process are measuring."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[bytes, threading.Event] = {}

    def begin(self, keys: Sequence[bytes]) -> tuple[list[bytes], list[threading.Event]]:
        """The part of `keys` that the caller must measure, and events to await the other keys."""
        with self._lock:
            mine = [key for key in keys if key not in self._under_way]
            others = {id(e): e for k in keys if (e := self._under_way.get(k)) is not None}
            done = threading.Event()
            self._under_way.update(dict.fromkeys(mine, done))
        return mine, list(others.values())

    def end(self, keys: Sequence[bytes]) -> None:
        """Ends the measurement of `keys`, whether or not it gave answers."""
        with self._lock:
            for key in keys:
                self._under_way.pop(key).set()


@dataclass(frozen=True)
class OpenCache:
    """The open file of a cache, and its measurements in progress."""

    book: AnswerBook
    in_progress: InProgress

    @contextmanager
    def measuring(
        self, keys: Sequence[bytes], *, claim: bool
    ) -> Iterator[tuple[list[bytes], list[threading.Event]]]:
        """The part of `keys` that the caller must measure, and events to await the other keys.

        Args:
            keys: of stimuli whose answers are missing.
            claim: whether to keep other processes from measuring them too.
        """
        mine, others = self.in_progress.begin(keys)
        try:
            if not claim or not mine:
                yield mine, others
                return
            ours = self.book.claim(mine)
            if len(ours) < len(mine):
                others.append(threading.Event())  # never set: the caller looks again later
            try:
                yield ours, others
            finally:
                self.book.release(ours)
        finally:
            self.in_progress.end(mine)
