"""One study on a server, from the outside."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from blackbox_am.client import watching
from blackbox_am.client.candidates import Candidates, TellResult
from blackbox_am.client.connection import SEND_BYTES, Connection
from blackbox_am.client.events import StudyEvent
from blackbox_am.core.spec import StudySpec
from blackbox_am.core.types import Best, GenerationScores, StudyProgress, StudyState
from blackbox_am.errors import InvalidInput, ShapeMismatch
from blackbox_am.rpc import names, pages, progress, specs, tensors
from blackbox_am.v1 import study_pb2
from blackbox_am.v1 import study_service_pb2 as pb


class Study:
    """A handle on a study. It holds nothing but the id: the server knows the rest.

    Attributes:
        id: the study's id.
    """

    def __init__(self, connection: Connection, study_id: str) -> None:
        self.id = study_id
        self._connection = connection
        self._stub = connection.studies
        self._name = names.study_name(study_id)

    def __repr__(self) -> str:
        return f"<Study {self.id!r} at {self._connection.target}>"

    # Reading

    def progress(self) -> StudyProgress:
        """How far it is."""
        return progress.progress_from_proto(self._get())

    def spec(self) -> StudySpec:
        """What it was created with, and the budget as it is now."""
        return specs.study_from_proto(self._get().spec)

    def watch(
        self,
        after_sequence: int = 0,
        min_interval: float = 0.0,
        *,
        reconnect_seconds: float = 60.0,
    ) -> Iterator[StudyEvent]:
        """What happened and what happens, in order, until the study ends.

        A lost connection is taken up again after the last event, without gaps or repeats.

        Args:
            after_sequence: only events after this one; 0 for all.
            min_interval: seconds; events of generations that follow each other faster are
                passed over, but for the last. 0 for all of them.
            reconnect_seconds: how long a server that went away is waited for.

        Raises:
            ServerUnavailable: where it did not come back in time.
            NotFound: where the study is deleted.
        """
        return watching.events(
            self._connection, self._name, after_sequence, min_interval, reconnect_seconds
        )

    def follow(
        self, min_interval: float = 0.5, *, reconnect_seconds: float = 60.0
    ) -> Iterator[StudyProgress]:
        """Progress as it stands, and again whenever there is more, until the study ends.

        Args:
            min_interval: seconds between two looks, but that the end is told at once.
            reconnect_seconds: how long a server that went away is waited for.

        Raises:
            ServerUnavailable: where it did not come back in time.
        """
        last = self.progress()
        yield last
        for event in self.watch(last.sequence, min_interval, reconnect_seconds=reconnect_seconds):
            if event.sequence > last.sequence:
                last = self.progress()
                yield last

    def wait(
        self, timeout: float | None = None, *, reconnect_seconds: float = 60.0
    ) -> StudyProgress:
        """Waits until the study ends or is paused.

        Args:
            timeout: seconds; the study may still be active when they have passed.
            reconnect_seconds: how long a server that went away is waited for.

        Returns:
            How far it is then; `state` says which it was.

        Raises:
            ServerUnavailable: where the server went away and did not come back in time.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        now = self.progress()
        while now.state in (StudyState.PENDING, StudyState.RUNNING):
            changed = watching.wait_for_state(
                self._connection, self._name, now.sequence, deadline, reconnect_seconds
            )
            now = self.progress()
            if not changed:
                break
        return now

    def best(self, stimuli: bool = False) -> list[Best]:
        """The best candidate of each target that has one, with its stimulus where wanted.

        Raises:
            InvalidInput: for stimuli of a study that has no generator.
        """

        def fetch(token: str) -> Any:
            request = pb.GetBestRequest(name=self._name, with_stimuli=stimuli, page_token=token)
            answer = self._connection.call(self._stub.GetBest, request)
            return answer.best, answer.next_page_token

        return [progress.best_from_proto(message, self.id) for message in pages.walk(fetch)]

    def generations(self) -> Iterator[GenerationScores]:
        """The scores of each closed generation, in order."""

        def fetch(token: str) -> Any:
            request = pb.ListGenerationsRequest(name=self._name, page_size=1000, page_token=token)
            answer = self._connection.call(self._stub.ListGenerations, request)
            return answer.generations, answer.next_page_token

        return (progress.generation_from_proto(message) for message in pages.walk(fetch))

    # Evaluating

    def ask(self, n: int = 0, *, stimuli: bool = False, lease: float = 60.0) -> Candidates:
        """Candidates to measure, held for this caller.

        Args:
            n: how many at most; as many as fit into one message where 0.
            stimuli: whether to send what the generator makes of them, as uint8.
            lease: seconds that they are held for. What is not told by then may go to others.

        Returns:
            Up to `n`. None at all where others hold what is left, or the study is paused:
            ask again after `retry_after` seconds; or where it has ended: see `state`.
        """
        request = pb.AskRequest(
            name=self._name,
            max_candidates=n,
            with_stimuli=stimuli,
            lease_duration=progress.duration_to_proto(lease, "lease_duration"),
        )
        answer = self._connection.call(self._stub.Ask, request)
        return Candidates(
            tuple(answer.candidate_ids),
            tensors.from_proto(answer.latents, field="latents").copy(),
            tensors.from_proto(answer.stimuli, field="stimuli").copy()
            if answer.HasField("stimuli")
            else None,
            progress.state_from_proto(answer.state),
            answer.retry_after.ToTimedelta().total_seconds(),
            answer.lease_id,
            answer.lease_duration.ToTimedelta().total_seconds(),
        )

    def tell(self, candidates: Candidates | Sequence[str], activations: ArrayLike) -> TellResult:
        """Brings measurements. They are durable when this returns, and may be told again.

        Args:
            candidates: as `ask` returned them, or their ids.
            activations: (N, U) or, for one unit, (N,): for each candidate the activations of
                its target's units, in the order of the objective; nan where it failed, and
                to fill up shorter rows. More than fits into one message is sent in several.

        Raises:
            InvalidInput: for infinities, and ids that are not this study's.
            ShapeMismatch: for another shape.
            StudyClosed: where the study has ended.
        """
        ids = candidates.ids if isinstance(candidates, Candidates) else tuple(candidates)
        values = np.asarray(activations)
        if values.dtype.kind in "iub":
            values = values.astype(np.float32)
        if values.ndim == 1:
            values = values[:, None]
        if values.dtype.kind != "f" or values.ndim != 2 or len(values) != len(ids):
            raise ShapeMismatch(
                f"activations: expected one row of numbers for each of {len(ids)} candidates, "
                f"got {values.dtype} of shape {values.shape}",
                field="activations",
            )
        if values.dtype.name not in ("float32", "float64"):
            values = values.astype(np.float32)
        told = [
            self._tell(ids[piece], values[piece])
            for piece in _pieces(ids, values.shape[1] * values.itemsize)
        ]
        return TellResult(
            sum(t.accepted for t in told),
            sum(t.repeated for t in told),
            progress.state_from_proto(told[-1].state),
            told[-1].generation,
            told[-1].sequence,
        )

    def renew(self, candidates: Candidates, lease: float = 60.0) -> int:
        """Holds candidates for longer. Returns how many are still held.

        Args:
            candidates: as `ask` returned them.
            lease: seconds from now.

        Raises:
            NotFound: where the lease has run out, or all of them are measured.
        """
        request = pb.RenewLeaseRequest(
            name=self._name,
            lease_id=candidates.lease_id,
            lease_duration=progress.duration_to_proto(lease, "lease_duration"),
        )
        return int(self._connection.call(self._stub.RenewLease, request).held)

    # Steering

    def pause(self) -> StudyProgress:
        """Hands out and evaluates nothing more until resumed."""
        return self._steer(self._stub.PauseStudy, pb.PauseStudyRequest(name=self._name))

    def resume(self) -> StudyProgress:
        """Sets a paused or failed study going."""
        return self._steer(self._stub.ResumeStudy, pb.ResumeStudyRequest(name=self._name))

    def cancel(self) -> StudyProgress:
        """Ends it for good."""
        return self._steer(self._stub.CancelStudy, pb.CancelStudyRequest(name=self._name))

    def extend(
        self,
        *,
        queries_per_target: int | None = None,
        seconds: float | None = None,
        target_score: float | None = None,
        patience: int | None = None,
    ) -> StudyProgress:
        """Raises the budget; a study that had used it up goes on. None stays as it is.

        Raises:
            InvalidSpec: where a limit would fall.
            StudyClosed: where the study was cancelled or failed.
        """
        if queries_per_target is not None and queries_per_target < 1:
            raise InvalidInput(
                f"queries_per_target must be 1 or more, got {queries_per_target}",
                field="budget.queries_per_target",
            )
        budget = study_pb2.Budget(
            queries_per_target=queries_per_target or 0,
            seconds=seconds,
            target_score=target_score,
            patience=patience,
        )
        request = pb.ExtendStudyRequest(name=self._name, budget=budget)
        return self._steer(self._stub.ExtendStudy, request)

    def delete(self) -> None:
        """Ends it, and forgets everything about it."""
        self._connection.call(self._stub.DeleteStudy, pb.DeleteStudyRequest(name=self._name))

    def _get(self) -> study_pb2.Study:
        study: study_pb2.Study = self._connection.call(
            self._stub.GetStudy, pb.GetStudyRequest(name=self._name)
        )
        return study

    def _steer(self, method: Any, request: Any) -> StudyProgress:
        return progress.progress_from_proto(self._connection.call(method, request))

    def _tell(self, ids: Sequence[str], values: Any) -> pb.TellResponse:
        request = pb.TellRequest(
            name=self._name, candidate_ids=ids, activations=tensors.to_proto(values)
        )
        told: pb.TellResponse = self._connection.call(self._stub.Tell, request)
        return told


def _pieces(ids: Sequence[str], row_bytes: int) -> Iterator[slice]:
    """Slices of the candidates that fit into a message each; one empty one for none."""
    widest = max((len(candidate) for candidate in ids), default=0) + 4
    rows = max(1, SEND_BYTES // (widest + row_bytes))
    for start in range(0, max(len(ids), 1), rows):
        yield slice(start, start + rows)
