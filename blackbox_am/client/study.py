"""One study on a server, from the client's point of view."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import grpc
from numpy.typing import ArrayLike

from blackbox_am.client import measuring, watching
from blackbox_am.client.candidates import Candidates, TellResult, from_proto
from blackbox_am.client.specs import extension
from blackbox_am.client.study_results import LARGEST_NUMBER, StudyResults
from blackbox_am.core import candidate_ids
from blackbox_am.core.spec import StudySpec
from blackbox_am.core.study_events import StudyEvent
from blackbox_am.core.types import StudyProgress, StudyState
from blackbox_am.errors import BlackboxError, ServerUnavailable, StudyClosed
from blackbox_am.results.notebooks import has_bar, shown_while
from blackbox_am.rpc import progress, specs, tensors, times
from blackbox_am.v1 import study_service_pb2 as pb

SHORTEST_WAIT_SECONDS = 0.05
"""Seconds between two requests for candidates."""
SHORTEST_LEASE = 0.001
"""Seconds. A lease of this length gives candidates back; 0 would stand for the default."""


class Study(StudyResults):
    """A handle of a study. It contains only the id; the server has all data.

    A handle can be pickled: the copy connects again, see `Client`.

    Attributes:
        id: the study's id.
    """

    def __repr__(self) -> str:
        return f"<Study {self.id!r} at {self._connection.target}>"

    # Reading

    def progress(self) -> StudyProgress:
        """The current progress."""
        return self.latest()

    def spec(self) -> StudySpec:
        """The specification, with the current budget."""
        return specs.study_from_proto(self._get().spec)

    @property
    def noisy(self) -> bool:
        """Whether the study's oracle does not repeat its answers."""
        return bool(self._get().noisy)

    @property
    def fingerprints(self) -> tuple[str, str]:
        """The fingerprints of the oracle and of the generator at the beginning of the study: 32
        hexadecimal digits each; empty for a model that clients evaluate.
        """
        found = self._get()
        return found.oracle_fingerprint, found.generator_fingerprint

    def watch(
        self,
        after_sequence: int = 0,
        min_interval: float = 0.0,
        *,
        reconnect_seconds: float = 60.0,
    ) -> Iterator[StudyEvent]:
        """Past and new events in order, until the study ends.

        After a lost connection, the events continue after the last event without gaps or repeats.

        Args:
            after_sequence: only events after this one; 0 for all.
            min_interval: seconds; events of generations that follow each other faster are left out,
                except the last one. 0 for all events.
            reconnect_seconds: longest time to wait for an unavailable server.

        Raises:
            ServerUnavailable: if the server did not come back in time.
            NotFound: if the study is deleted.
        """
        return watching.events(
            self._connection, self._name, after_sequence, min_interval, reconnect_seconds
        )

    def follow(
        self, min_interval: float = 0.5, *, reconnect_seconds: float = 60.0
    ) -> Iterator[StudyProgress]:
        """The current progress, and the progress after each change, until the study ends.

        Args:
            min_interval: seconds between two items; the end is reported at once.
            reconnect_seconds: longest time to wait for an unavailable server.

        Raises:
            ServerUnavailable: if the server did not come back in time.
        """
        last = self._persistent(reconnect_seconds)
        yield last
        for event in self.watch(last.sequence, min_interval, reconnect_seconds=reconnect_seconds):
            if event.sequence > last.sequence:
                last = self._persistent(reconnect_seconds)
                yield last

    def wait(
        self,
        timeout: float | None = None,
        *,
        reconnect_seconds: float = 60.0,
        progress: bool | None = None,
    ) -> StudyProgress:
        """Wait until the study ends or is paused.

        Args:
            timeout: seconds; the study can still be active after this time.
            reconnect_seconds: longest time to wait for an unavailable server.
            progress: whether to show a progress bar; None shows it in a notebook.

        Returns:
            The final progress; `state` says whether the study ended, was paused, or is still
            active.

        Raises:
            ServerUnavailable: if the server did not come back in time.
        """
        deadline = None if timeout is None else time.monotonic() + timeout

        def read() -> StudyProgress:
            left = math.inf if deadline is None else max(deadline - time.monotonic(), 0.0)
            return self._persistent(min(reconnect_seconds, left))

        now = read()
        with shown_while(progress) as show:
            look = (lambda: show(read())) if has_bar(progress) else None
            while now.state in (StudyState.PENDING, StudyState.RUNNING):
                changed = watching.wait_for_state(
                    self._connection, self._name, now.sequence, deadline, reconnect_seconds, look
                )
                now = read()
                show(now)
                if not changed:
                    break
        return now

    # Evaluating

    def ask(
        self,
        n: int = 0,
        *,
        stimuli: bool = False,
        dtype: str = "uint8",
        lease: float = 60.0,
        timeout: float | None = None,
        reconnect_seconds: float = 60.0,
    ) -> Candidates:
        """Candidates to measure, leased to this client. Waits until candidates are available.

        Candidates that were leased to this client before its script started again are returned at
        once, see `connect`.

        Args:
            n: largest number of candidates; 0 for as many as fit into one message.
            stimuli: whether to send the rendered stimuli.
            dtype: of the stimuli: `uint8` (0..255), or `float32` (0..1), which is exact.
            lease: duration of the lease in seconds. Afterwards, unmeasured candidates may be leased
                to other clients.
            timeout: longest wait in seconds if all candidates are leased to others, or the study is
                paused; None waits without limit, 0 does not wait.
            reconnect_seconds: longest time to wait for an unavailable server.

        Returns:
            Up to `n` candidates. No candidates, with arrays of 0 rows, if the study has ended
            (`done`), or after `timeout`.

        Raises:
            ServerUnavailable: if the server became unavailable and did not come back in time.
            InvalidInput: for stimuli of a study without a generator.
        """
        name = self._connection.name
        request = pb.AskRequest(
            name=self._name,
            max_candidates=min(n, LARGEST_NUMBER),
            with_stimuli=stimuli,
            stimulus_dtype=tensors.stimulus_dtype(dtype),
            lease_duration=times.duration_to_proto(lease, "lease_duration"),
            client_id=str(name),
            session_id=name.session,
        )
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                answer = self._connection.persist(self._stub.Ask, request, reconnect_seconds)
            except ServerUnavailable as error:
                late = isinstance(error.__cause__, grpc.RpcError) and (
                    error.__cause__.code() is grpc.StatusCode.DEADLINE_EXCEEDED
                )
                if not (stimuli and late):
                    raise
                raise ServerUnavailable(
                    f"{error.message}. The server renders the stimuli of an ask: ask for fewer "
                    "candidates with `n`, or give `connect` a longer timeout; the candidates are "
                    "free again"
                ) from error
            found = from_proto(answer)
            left = math.inf if deadline is None else deadline - time.monotonic()
            if found.ids or found.done or left <= 0:
                return found
            time.sleep(min(max(found.retry_after, SHORTEST_WAIT_SECONDS), left))

    def tell(
        self,
        candidates: Candidates | Sequence[int],
        values: ArrayLike,
        *,
        all_units: bool = False,
        reconnect_seconds: float = 60.0,
    ) -> TellResult:
        """Sends measurements. They are durable when the method returns. Sending them again is
        harmless.

        Args:
            candidates: the result of `ask`, or ids of N candidates.
            values: the measurements; nan, None or a masked entry for a failed measurement. (N,):
                one score for each candidate, for targets that read one unit. (N, U): for each
                candidate the units of its target, in the order of the objective; shorter rows are
                filled up with nan.
            all_units: whether (N, U) values contain all units of the study in each row, in the
                order of `Study.units`.
            reconnect_seconds: longest time to wait for an unavailable server.

        Measurements that do not fit into one message are sent in several messages.

        Raises:
            InvalidInput: for infinities, and for candidates that were never proposed.
            ShapeMismatch: for another shape.
            StudyClosed: if the study has ended.
            ServerUnavailable: if the server became unavailable and did not come back in time.
        """
        ids = candidates.ids if isinstance(candidates, Candidates) else tuple(candidates)
        array = measuring.measured(values, len(ids))
        told = [
            self._tell(ids[piece], array[piece], all_units, reconnect_seconds)
            for piece in measuring.pieces(len(ids), array.nbytes // max(len(ids), 1))
        ]
        return TellResult(
            sum(t.accepted for t in told),
            sum(t.repeated for t in told),
            progress.state_from_proto(told[-1].state),
            told[-1].done,
            told[-1].generation,
            told[-1].sequence,
        )

    def ask_tell(
        self,
        model: measuring.Model,
        n: int = 0,
        *,
        stimuli: bool = False,
        dtype: str = "uint8",
        lease: float = 60.0,
    ) -> StudyProgress:
        """Measures candidates with a function until the study ends.

        Args:
            model: called with the latents (N, D) or the stimuli (N, *stimulus) of N candidates;
                returns the measurements, as `values` of `tell`. Its errors end the loop, and the
                candidates are free at once for whoever asks next.
            n, stimuli, dtype, lease: as in `ask`.

        Returns:
            The final progress.

        Raises:
            ShapeMismatch: if the model returns another number of measurements; none are sent.
            BlackboxError: as `ask` and `tell`.
        """
        while not (found := self.ask(n, stimuli=stimuli, dtype=dtype, lease=lease)).done:
            try:
                values = model(found.latents if found.stimuli is None else found.stimuli)
                with suppress(StudyClosed):  # the study ended meanwhile
                    self.tell(found, values)
            except ServerUnavailable:
                raise
            except BaseException:
                with suppress(BlackboxError):
                    self.renew(found, SHORTEST_LEASE)
                raise
        return self.progress()

    def units(self) -> list[str]:
        """All units of the targets, each once, in the order of `all_units`."""
        return list(self._get().units)

    def renew(self, candidates: Candidates, lease: float = 60.0) -> int:
        """Extend a lease; returns the number of candidates that are still leased.

        Args:
            candidates: the result of `ask`.
            lease: seconds from now.

        Raises:
            NotFound: if the lease has expired, or if all its candidates are measured.
        """
        request = pb.RenewLeaseRequest(
            name=self._name,
            lease_id=candidates.lease_id,
            lease_duration=times.duration_to_proto(lease, "lease_duration"),
        )
        return int(self._connection.call(self._stub.RenewLease, request).held)

    # Control

    def pause(self) -> StudyProgress:
        """Pause the study: no candidates are given out or evaluated until it is resumed."""
        return self._steer(self._stub.PauseStudy, pb.PauseStudyRequest(name=self._name))

    def resume(self, *, adopt: bool = False) -> StudyProgress:
        """Resumes a paused or failed study.

        Args:
            adopt: continue with the server's present model and generator, even if the study was
                created with others.
        """
        request = pb.ResumeStudyRequest(name=self._name, adopt=adopt)
        return self._steer(self._stub.ResumeStudy, request)

    def cancel(self) -> StudyProgress:
        """Cancel the study permanently."""
        return self._steer(self._stub.CancelStudy, pb.CancelStudyRequest(name=self._name))

    def extend(
        self,
        *,
        queries_per_target: int | None = None,
        seconds: float | None = None,
        target_score: float | None = None,
        patience: int | None = None,
    ) -> StudyProgress:
        """Raise the budget; a study that had used it up continues. None leaves a limit unchanged.

        Raises:
            InvalidSpec: if a limit would become smaller.
            StudyClosed: if the study was cancelled or failed.
        """
        budget = extension(queries_per_target, seconds, target_score, patience)
        request = pb.ExtendStudyRequest(name=self._name, budget=budget)
        return self._steer(self._stub.ExtendStudy, request)

    def delete(self) -> None:
        """Delete the study and all its data."""
        self._connection.call(self._stub.DeleteStudy, pb.DeleteStudyRequest(name=self._name))

    def _steer(self, method: Any, request: Any) -> StudyProgress:
        return progress.progress_from_proto(self._connection.call(method, request).study)

    def _persistent(self, seconds: float) -> StudyProgress:
        """The current progress; waits up to `seconds` for an unavailable server."""
        request = pb.GetStudyRequest(name=self._name)
        found = self._connection.persist(self._stub.GetStudy, request, seconds)
        return progress.progress_from_proto(found.study)

    def _tell(
        self, ids: Sequence[int], values: Any, all_units: bool, reconnect_seconds: float
    ) -> pb.TellResponse:
        request = pb.TellRequest(name=self._name, candidate_ids=candidate_ids.check(ids).tolist())
        if values.ndim == 1:
            request.scores.values.extend(values)
        else:
            kind = "all_units" if all_units else "activations"
            getattr(request, kind).CopyFrom(tensors.to_proto(values))
        told: pb.TellResponse = self._connection.persist(
            self._stub.Tell, request, reconnect_seconds
        )
        return told
