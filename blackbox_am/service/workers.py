"""Threads that evaluate studies with an oracle; a study treats each thread like a client.

A study that waits for a thread has no owner. Every server on the store looks for such studies, and
a server with a free thread takes the study's lease.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from blackbox_am.catalogue import Images
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.spec import StudySpec
from blackbox_am.core.types import StudyState
from blackbox_am.errors import (
    BlackboxError,
    ModelChanged,
    NotFound,
    NotOwner,
    OracleError,
    OracleTimeout,
    OracleUnavailable,
    SequenceTaken,
    StoreCorrupt,
    StoreError,
)
from blackbox_am.service.registry import StudyRegistry
from blackbox_am.studies import loop
from blackbox_am.studies.billing import UnbilledUsage
from blackbox_am.studies.equipment import FindGenerator
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.measuring import evaluator_of
from blackbox_am.studies.reopening import check_models
from blackbox_am.studies.resolving import Request
from blackbox_am.studies.transforming import transformed

log = logging.getLogger(__name__)

_WANTED = (StudyState.PENDING, StudyState.RUNNING)
_WANTED_STATES = tuple(state.value for state in _WANTED)
_PASSING = (OracleUnavailable, OracleTimeout, SequenceTaken, StoreError)
"""Errors after which another attempt can succeed."""
AGAIN_SECONDS = 1.0
"""Seconds before a study whose store failed is queued again."""
SEEK_SECONDS = 1.0
"""Seconds between two searches of the store for studies without an owner."""
LONGEST_WAIT_SECONDS = 300.0
"""Longest wait in seconds for an oracle before the study is paused and releases its thread."""
LOOK_SECONDS = 1.0
"""Seconds between two looks at a study that waits for its oracle, since it can be paused
meanwhile.
"""


@dataclass
class _Queue:
    """Studies that wait for a thread, and those that have one."""

    waiting: deque[str] = field(default_factory=deque)
    running: set[str] = field(default_factory=set)
    again: set[str] = field(default_factory=set)
    """Studies that run and must run again, because they were resumed before their thread saw the
    pause.
    """


class Workers:
    """Runs studies, several at once and the others in turn.

    Args:
        registry: finds studies.
        generator: finds the generator of a study.
        oracle: finds an oracle by name.
        images: finds the natural images of a study.
        threads: number of studies that run at once.
        retry_delays: seconds before each new attempt while an oracle or the store is unavailable,
            or more if the oracle requests it. After the last attempt, the study is paused if the
            oracle was unavailable, and queued again if the store was.
    """

    def __init__(
        self,
        registry: StudyRegistry,
        generator: FindGenerator,
        oracle: Callable[[str], Oracle],
        images: Callable[[StudySpec], Images | None],
        threads: int,
        retry_delays: Sequence[float],
    ) -> None:
        self._registry = registry
        self._generator = generator
        self._oracle = oracle
        self._images = images
        self._retry_delays = tuple(retry_delays)
        self._stopping = threading.Event()
        self._queue = _Queue()
        self._changed = threading.Condition()
        # Daemon threads: an oracle without an answer must not keep a stopped server running.
        self._threads = [
            threading.Thread(target=self._work, name=f"worker-{i}", daemon=True)
            for i in range(threads)
        ]
        self._threads.append(threading.Thread(target=self._seek, name="seeker", daemon=True))
        for thread in self._threads:
            thread.start()

    def submit(self, study_id: str) -> None:
        """Queue the study if it has an oracle and is to run."""
        with self._changed:
            if study_id in self._queue.running:
                self._queue.again.add(study_id)
            elif study_id not in self._queue.waiting:
                self._queue.waiting.append(study_id)
                self._changed.notify()

    def _seek(self) -> None:
        """Queue the store's studies that are to run and have no owner, and remove idle ones from
        memory.
        """
        while not self._stopping.is_set():
            try:
                for study_id in self._registry.store.leases.free(_WANTED_STATES):
                    self.submit(study_id)
                self._registry.rest_idle()
            except BlackboxError as error:
                log.error("no study is taken up: %s", error)  # noqa: TRY400
            self._stopping.wait(SEEK_SECONDS)

    def stop(self, timeout: float) -> None:
        """Let each running study finish its generation, then end the threads.

        Args:
            timeout: seconds; the next owner of a study repeats a generation that has not finished
                by then.
        """
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0.0))

    def _work(self) -> None:
        while (study_id := self._next()) is not None:
            try:
                if self._wanted(study_id):
                    with self._registry.running(study_id):
                        self._run(study_id)
            except NotOwner as error:
                log.info("study %s is left alone: %s", study_id, error)
            except StoreCorrupt as error:
                log.error("study %s is left as it is: %s", study_id, error)  # noqa: TRY400
            except (StoreError, SequenceTaken) as error:
                log.warning("study %s: %s; others have their turn first", study_id, error)
                self._stopping.wait(AGAIN_SECONDS)
                self.submit(study_id)
            except NotFound:
                pass  # deleted meanwhile
            except Exception:
                log.exception("study %s: a worker failed", study_id)
            finally:
                self._done(study_id)

    def _next(self) -> str | None:
        with self._changed:
            while not self._stopping.is_set():
                if self._queue.waiting:
                    study_id = self._queue.waiting.popleft()
                    self._queue.running.add(study_id)
                    return study_id
                self._changed.wait()
        return None

    def _done(self, study_id: str) -> None:
        with self._changed:
            self._queue.running.discard(study_id)
            if study_id in self._queue.again:
                self._queue.again.discard(study_id)
                self._queue.waiting.append(study_id)
                self._changed.notify()

    def _run(self, study_id: str) -> None:
        """Run a study until it needs no worker any more.

        Raises:
            StoreError, SequenceTaken: if the store fails in all attempts.
            NotOwner: if another process runs the study.
        """
        delays, unbilled = _Delays(self._retry_delays), UnbilledUsage()
        while not self._stopping.is_set():
            try:
                if self._wanted(study_id):
                    self._evaluate(study_id, delays, unbilled)
            except StoreCorrupt as error:  # an error of a model's file, or of the journal itself
                log.error("study %s failed: %s", study_id, error)  # noqa: TRY400
                self._fail(study_id, error.message)
            except _PASSING as error:
                if not self._waited(study_id, delays, error):
                    return
            except NotOwner:
                raise
            except BlackboxError as error:
                log.warning("study %s failed: %s", study_id, error)
                self._fail(study_id, error.message)
            except Exception:
                log.exception("study %s failed", study_id)
                self._fail(study_id, "internal error; see the server's log")
            else:
                return

    def _wanted(self, study_id: str) -> bool:
        try:
            published = self._registry.published(study_id)
        except NotFound:
            return False  # deleted
        wanted = published.progress.state in _WANTED
        return wanted and published.created.spec.oracle is not None

    def _evaluate(self, study_id: str, delays: _Delays, unbilled: UnbilledUsage) -> None:
        live = self._registry.live(study_id)
        spec = live.study.spec
        assert spec.oracle is not None  # a study without an oracle needs no worker
        request = Request(
            spec=spec,
            generator=self._generator(spec),
            oracle=transformed(self._oracle(spec.oracle), spec),
            network=self._oracle,
            images=self._images(spec),
            device=self._registry.device,
        )
        try:
            check_models(study_id, live.study, *request.fingerprints)
        except ModelChanged as error:
            self._suspend(study_id, error.message)
            return
        evaluator = evaluator_of(live, request, unbilled)
        if evaluator is None:
            return

        def went_on(live: LiveStudy) -> None:
            delays.start_over()
            live.note("")

        loop.run(
            live,
            evaluator,
            stopped=self._stopping.is_set,
            after_generation=went_on,
            unbilled=unbilled,
        )

    def _waited(self, study_id: str, delays: _Delays, error: BlackboxError) -> bool:
        """Wait for the oracle or the store. Returns False if the study was paused instead.

        Raises:
            BlackboxError: `error`, if the store stays unavailable.
        """
        delay, wanted = delays.next(), error.retry_after or 0.0
        if not isinstance(error, OracleError):
            if delay is None:
                raise error
        elif delay is None:
            attempts = len(self._retry_delays) + 1
            self._suspend(study_id, f"paused after {attempts} attempts: {error.message}")
            return False
        elif wanted > LONGEST_WAIT_SECONDS:
            self._suspend(study_id, f"paused: {error.message}; resume it in {wanted:.4g} s")
            return False
        wait = max(delay, wanted)
        log.warning("study %s: %s; trying again in %g s", study_id, error, wait)
        if error.retry_after is not None:
            self._note(study_id, f"waiting {wait:.4g} s for the oracle: {error.message}")
        deadline = time.monotonic() + wait
        while (left := deadline - time.monotonic()) > 0 and self._wanted(study_id):
            if self._stopping.wait(min(left, LOOK_SECONDS)):
                break
        return True

    def _note(self, study_id: str, message: str) -> None:
        with suppress(StoreError, SequenceTaken, NotOwner):  # the next attempt reports the error
            self._registry.act(study_id, lambda live: live.note(message))

    def _suspend(self, study_id: str, message: str) -> None:
        log.warning("study %s is %s", study_id, message)
        self._registry.act(study_id, lambda live: live.suspend(message))

    def _fail(self, study_id: str, message: str) -> None:
        self._registry.act(study_id, lambda live: live.fail(message))


class _Delays:
    """Seconds to wait before each new attempt, until there are no more."""

    def __init__(self, delays: tuple[float, ...]) -> None:
        self._delays = delays
        self._used = 0

    def next(self) -> float | None:
        """The next delay, or None."""
        if self._used == len(self._delays):
            return None
        self._used += 1
        return self._delays[self._used - 1]

    def start_over(self) -> None:
        """Start again with the first delay, after a success."""
        self._used = 0
