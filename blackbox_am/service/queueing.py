"""The studies that wait for a thread, in one queue for each oracle."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class StudyQueue:
    """The studies of one oracle that wait for a thread, and those that have one.

    Attributes:
        oracle: name of the oracle.
        waiting: studies in the order of their turns.
        threads: number of threads that serve the queue.
        running: studies that have a thread.
        again: studies that run and must run again, because they were resumed before their thread
            saw the pause.
    """

    oracle: str
    waiting: deque[str] = field(default_factory=deque)
    threads: int = 0
    running: set[str] = field(default_factory=set)
    again: set[str] = field(default_factory=set)


class StudyQueues:
    """One queue for each oracle, so that an oracle that hangs does not stop the studies of others.

    Args:
        at_once: number of studies that run at once on one oracle.
        hire: starts a thread that serves a queue; called when studies wait and the oracle may have
            another thread.
    """

    def __init__(self, at_once: int, hire: Callable[[StudyQueue], None]) -> None:
        self._at_once = at_once
        self._hire = hire
        self._queues: dict[str, StudyQueue] = {}
        self._stopped = False
        self._changed = threading.Condition()

    def has(self, study_id: str) -> bool:
        """Whether the study waits in a queue."""
        with self._changed:
            return any(study_id in queue.waiting for queue in self._queues.values())

    def sizes(self) -> dict[str, tuple[int, int]]:
        """The studies that run and those that wait, for each oracle."""
        with self._changed:
            queues = self._queues.items()
            return {name: (len(queue.running), len(queue.waiting)) for name, queue in queues}

    def add(self, oracle: str, study_id: str) -> None:
        """Queue a study; if it runs, its thread runs it once more."""
        with self._changed:
            queue = self._queues.setdefault(oracle, StudyQueue(oracle))
            if study_id in queue.running:
                queue.again.add(study_id)
            elif study_id not in queue.waiting:
                queue.waiting.append(study_id)
                self._changed.notify_all()
                busy = len(queue.running) + len(queue.waiting)
                if queue.threads < min(busy, self._at_once) and not self._stopped:
                    queue.threads += 1
                    self._hire(queue)

    def next(self, queue: StudyQueue) -> str | None:
        """The next study of `queue`, once there is one; None when the queues are stopped."""
        with self._changed:
            while not self._stopped:
                if queue.waiting:
                    study_id = queue.waiting.popleft()
                    queue.running.add(study_id)
                    return study_id
                self._changed.wait()
        return None

    def done(self, queue: StudyQueue, study_id: str) -> None:
        """Take back a study from its thread."""
        with self._changed:
            queue.running.discard(study_id)
            if study_id in queue.again:
                queue.again.discard(study_id)
                queue.waiting.append(study_id)
                self._changed.notify_all()

    def stop(self) -> None:
        """Give out no more studies."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
