"""Threads that evaluate studies with an oracle; a study treats each thread like a client.

A study that waits for a thread has no owner. Every server on the store looks for such studies, and
a server with a free thread takes the study's lease.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from blackbox_am.catalogue import Images
from blackbox_am.core.abandoning import CallAbandoned, abandonable
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.spec import StudySpec
from blackbox_am.core.types import StudyState
from blackbox_am.errors import (
    BlackboxError,
    ModelChanged,
    NotFound,
    NotOwner,
    OracleError,
    QuotaExceeded,
    SequenceTaken,
    StoreCorrupt,
    StoreError,
)
from blackbox_am.service.attempts import PASSING, Attempts
from blackbox_am.service.logs import about
from blackbox_am.service.queueing import StudyQueue, StudyQueues
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
BILL_SECONDS = 3.0
"""Seconds in which a study bills the rows of an abandoned call when the server stops."""
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


class Workers:
    """Runs studies, several at once and the others in turn.

    Args:
        registry: finds studies.
        generator: finds the generator of a study.
        oracle: finds an oracle by name.
        network: finds the oracle whose network an optimizer uses.
        images: finds the natural images of a study.
        threads: number of studies that run at once on one oracle. Each oracle has its own threads,
            so that one that hangs does not stop the studies of the others.
        retry_delays: seconds before each new attempt while an oracle or the store is unavailable,
            or more if the oracle requests it. After the last attempt, the study is paused if the
            oracle was unavailable, and queued again if the store was.
    """

    def __init__(
        self,
        registry: StudyRegistry,
        generator: FindGenerator,
        oracle: Callable[[str], Oracle],
        network: Callable[[str], Oracle],
        images: Callable[[StudySpec], Images | None],
        threads: int,
        retry_delays: Sequence[float],
    ) -> None:
        self._registry = registry
        self._generator = generator
        self._oracle = oracle
        self._network = network
        self._images = images
        self._retry_delays = tuple(retry_delays)
        self._stopping = threading.Event()
        self._leaving = threading.Event()
        self._queues = StudyQueues(threads, self._hire)
        # Daemon threads: an oracle without an answer must not keep a stopped server running.
        self._threads = [threading.Thread(target=self._seek, name="seeker", daemon=True)]
        self._threads[0].start()

    def submit(self, study_id: str) -> None:
        """Queue the study if it has an oracle and is to run."""
        if self._queues.has(study_id):
            return
        try:
            oracle = self._registry.published(study_id).created.spec.oracle
        except (NotFound, StoreCorrupt):
            return  # deleted, or damaged
        if oracle is not None:
            self._queues.add(oracle, study_id)

    def queues(self) -> dict[str, tuple[int, int]]:
        """The studies that run here and those that wait, for each oracle."""
        return self._queues.sizes()

    def _hire(self, queue: StudyQueue) -> None:
        name = f"worker-{queue.oracle}-{queue.threads}"
        thread = threading.Thread(target=self._work, args=(queue,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

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
            except Exception:
                log.exception("no study is taken up")
            self._stopping.wait(SEEK_SECONDS)

    def stop(self, timeout: float) -> bool:
        """Let each running study finish its generation, then end the threads. Returns whether all
        threads have ended.

        Args:
            timeout: seconds; a call that has not returned by then is abandoned, and its rows are
                billed as lost. The next owner of the study repeats the generation.
        """
        self._stopping.set()
        self._queues.stop()
        self._join(timeout)
        self._leaving.set()
        return self._join(BILL_SECONDS)

    def _join(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        for thread in list(self._threads):
            thread.join(max(deadline - time.monotonic(), 0.0))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self, queue: StudyQueue) -> None:
        while (study_id := self._queues.next(queue)) is not None:
            with about(study=study_id, oracle=queue.oracle):
                self._work_on(queue, study_id)

    def _work_on(self, queue: StudyQueue, study_id: str) -> None:
        """Runs a study that has its turn, and reports why it could not."""
        try:
            if self._wanted(study_id):
                with self._registry.running(study_id), abandonable(self._unwanted(study_id)):
                    if self._has_room(study_id):
                        self._run(study_id)
                    else:
                        self._stopping.wait(AGAIN_SECONDS)
                        self._queues.add(queue.oracle, study_id)
        except NotOwner as error:
            log.info("study %s is left alone: %s", study_id, error)
        except StoreCorrupt as error:
            log.error("study %s is left as it is: %s", study_id, error)  # noqa: TRY400
        except (StoreError, SequenceTaken) as error:
            log.warning("study %s: %s; others have their turn first", study_id, error)
            self._stopping.wait(AGAIN_SECONDS)
            # Not with `submit`, which reads the store.
            self._queues.add(queue.oracle, study_id)
        except NotFound:
            pass  # deleted meanwhile
        except Exception:
            log.exception("study %s: a worker failed", study_id)
        finally:
            self._queues.done(queue, study_id)

    def _has_room(self, study_id: str) -> bool:
        """Whether the study is in memory, or has room there. Other errors are those of its run."""
        try:
            self._registry.live(study_id)
        except QuotaExceeded as error:
            log.warning("study %s waits: %s", study_id, error)
            return False
        except Exception:  # noqa: BLE001  # the run meets it again, and reports it
            return True
        return True

    def _unwanted(self, study_id: str) -> Callable[[], bool]:
        """Whether a call of the study's oracle can be abandoned: the server ends, or somebody has
        paused, cancelled or deleted the study.
        """
        looked, found = time.monotonic(), False

        def unwanted() -> bool:
            nonlocal looked, found
            # Looks again at once where it was unwanted: the study may have been resumed since.
            if found or time.monotonic() - looked > LOOK_SECONDS:
                found = not self._perhaps_wanted(study_id)
                looked = time.monotonic()
            return found or self._leaving.is_set()

        return unwanted

    def _run(self, study_id: str) -> None:
        """Run a study until it needs no worker any more.

        Raises:
            StoreError, SequenceTaken: if the store fails in all attempts.
            NotOwner: if another process runs the study.
        """
        attempts, unbilled = Attempts(self._retry_delays), UnbilledUsage()
        while not self._stopping.is_set():
            try:
                if self._wanted(study_id):
                    self._evaluate(study_id, attempts, unbilled)
            except StoreCorrupt as error:  # an error of a model's file, or of the journal itself
                log.error("study %s failed: %s", study_id, error)  # noqa: TRY400
                self._fail(study_id, error.message)
            except PASSING as error:
                if not self._waited(study_id, attempts, error):
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

    def _perhaps_wanted(self, study_id: str) -> bool:
        """As `_wanted`, and True while the store cannot be read."""
        try:
            return self._wanted(study_id)
        except StoreError:
            return True

    def _evaluate(self, study_id: str, attempts: Attempts, unbilled: UnbilledUsage) -> None:
        live = self._registry.live(study_id)
        spec = live.study.spec
        assert spec.oracle is not None  # a study without an oracle needs no worker
        request = Request(
            spec=spec,
            generator=self._generator(spec),
            oracle=transformed(self._oracle(spec.oracle), spec),
            network=self._network,
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
            attempts.start_over()
            live.note("")

        loop.run(
            live,
            evaluator,
            stopped=self._stopping.is_set,
            after_generation=went_on,
            unbilled=unbilled,
        )

    def _waited(self, study_id: str, attempts: Attempts, error: BlackboxError) -> bool:
        """Wait for the oracle or the store. Returns False if the study was paused instead.

        Raises:
            BlackboxError: `error`, if the store stays unavailable.
        """
        abandoned = isinstance(error, CallAbandoned) or self._leaving.is_set()
        if abandoned or not self._perhaps_wanted(study_id):
            return True
        delay, wanted = attempts.next(error), error.retry_after or 0.0
        if not isinstance(error, OracleError):
            if delay is None:
                raise error
        elif delay is None:
            times = f" after {attempts.failed} attempts" if attempts.failed > 1 else ""
            self._suspend(study_id, f"paused{times}: {self._told(study_id, error)}")
            return False
        elif wanted > LONGEST_WAIT_SECONDS:
            message = self._told(study_id, error)
            self._suspend(study_id, f"paused: {message}; resume it in {wanted:.4g} s")
            return False
        wait = max(delay, wanted)
        log.warning("study %s: %s; trying again in %g s", study_id, error, wait)
        if isinstance(error, OracleError):
            waiting = f"waiting {wait:.4g} s for the oracle after attempt {attempts.failed}"
            with suppress(StoreError, SequenceTaken, NotOwner):  # the next attempt reports it
                message = f"{waiting}: {self._told(study_id, error)}"
                self._registry.act(study_id, lambda live: live.note(message))
        deadline = time.monotonic() + wait
        while (left := deadline - time.monotonic()) > 0 and self._perhaps_wanted(study_id):
            if self._stopping.wait(min(left, LOOK_SECONDS)):
                break
        return True

    def _told(self, study_id: str, error: BlackboxError) -> str:
        """The message of the error, with the name of the study's oracle."""
        name = self._registry.published(study_id).created.spec.oracle
        named = f"oracle {name!r}"
        return error.message if named in error.message else f"{named}: {error.message}"

    def _suspend(self, study_id: str, message: str) -> None:
        log.warning("study %s is %s", study_id, message)
        self._registry.act(study_id, lambda live: live.suspend(message))

    def _fail(self, study_id: str, message: str) -> None:
        self._registry.act(study_id, lambda live: live.fail(message))
