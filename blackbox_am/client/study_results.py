"""The results of a study on a server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from blackbox_am.client import history
from blackbox_am.client.connection import Connection
from blackbox_am.core.shown import ShownRows
from blackbox_am.core.spec import OptimizerSpec
from blackbox_am.core.types import Best, GenerationScores, StudyProgress
from blackbox_am.errors import BlackboxError
from blackbox_am.results import Identity, Provenance, Reported, Result
from blackbox_am.results.provenance import versions
from blackbox_am.rpc import names, pages, progress, specs, structs, tensors
from blackbox_am.v1 import study_pb2
from blackbox_am.v1 import study_service_pb2 as pb
from blackbox_am.v1.study_service_pb2_grpc import StudyServiceStub

LARGEST_NUMBER = 2**31 - 1
"""Largest value of a 32-bit field."""
_READS = 3
"""Largest number of attempts to read a result of one moment."""
_MOVED = (
    "the study went on while the result was read: progress, best candidates and history are of "
    "different moments; pause the study, or take the result when it has ended"
)


class StudyResults(Reported):
    """The results of one study: read from the server whenever they are requested.

    Attributes:
        id: the study's id.
    """

    def __init__(self, connection: Connection, study_id: str) -> None:
        self.id = study_id
        self._connection = connection
        self._name = names.study_name(study_id)

    @property
    def _stub(self) -> StudyServiceStub:
        return self._connection.studies

    def result(self) -> Result:
        """The result so far, with stimuli, to keep or to draw. It needs no server, except for
        `rows`. While the study runs, it is read again until no event came in between; after
        several attempts, `notes` says that its parts are of different moments.

        Raises:
            BlackboxError: the server's error.
        """
        after = self._get()
        for _ in range(_READS):
            study = after
            best, notes = self._shown_best(study)
            generations = list(self.generations())
            after = self._get()
            if after.sequence == study.sequence:
                break
        else:
            notes = (*notes, _MOVED)
        return Result(
            progress.progress_from_proto(study),
            best,
            generations,
            spec=specs.study_from_proto(study.spec),
            provenance=_provenance(study),
            notes=notes,
            show_again=self._show_again,
        )

    def blocks(
        self, *, latents: bool = True, stimuli: bool = False, targets: tuple[int, ...] = ()
    ) -> Iterator[ShownRows]:
        return self._show_again(latents, stimuli, tuple(targets))

    def latest(self) -> StudyProgress:
        return progress.progress_from_proto(self._get())

    def best(
        self,
        stimuli: bool = False,
        *,
        targets: Sequence[int] = (),
        dtype: str = "uint8",
        generation: int | None = None,
    ) -> list[Best]:
        """The best candidate of each target that has one, with its stimulus if requested.

        Args:
            stimuli: whether to render each stimulus.
            targets: only these targets; all if empty.
            dtype: dtype of the stimuli: `uint8` (0..255), or `float32` (0..1), which is exact.
            generation: the best when this generation was closed, without `values`; now if None.

        Raises:
            InvalidInput: if the study has no generator, or if a target is unknown.
        """
        number = tensors.stimulus_dtype(dtype)

        def fetch(token: str) -> Any:
            request = pb.GetBestRequest(
                name=self._name,
                with_stimuli=stimuli,
                stimulus_dtype=number,
                targets=targets,
                page_token=token,
                generation=generation,
            )
            answer = self._connection.call(self._stub.GetBest, request)
            return answer.best, answer.next_page_token

        return [progress.best_from_proto(message, self.id) for message in pages.walk(fetch)]

    def generations(self, after: int = -1) -> Iterator[GenerationScores]:
        """The scores of each closed generation after number `after`, in order."""

        def fetch(token: str) -> Any:
            request = pb.ListGenerationsRequest(
                name=self._name,
                page_size=1000,
                page_token=token,
                after_generation=min(after, LARGEST_NUMBER),
            )
            answer = self._connection.call(self._stub.ListGenerations, request)
            return answer.generations, answer.next_page_token

        return (progress.generation_from_proto(message) for message in pages.walk(fetch))

    def _get(self) -> study_pb2.Study:
        request = pb.GetStudyRequest(name=self._name)
        found: study_pb2.Study = self._connection.call(self._stub.GetStudy, request).study
        return found

    def _show_again(
        self, latents: bool, stimuli: bool, targets: tuple[int, ...]
    ) -> Iterator[ShownRows]:
        return history.read(
            self._connection, self.id, latents=latents, stimuli=stimuli, targets=targets
        )

    def _shown_best(self, study: study_pb2.Study) -> tuple[list[Best], tuple[str, ...]]:
        """The best candidates with stimuli; without, and a note, if there are none."""
        if not study.spec.HasField("generator"):
            return self.best(), ("no stimuli: the study searches a bare space",)
        try:
            return self.best(stimuli=True, dtype="float32"), ()
        except BlackboxError as error:  # the server has lost the generator, for example
            return self.best(), (f"no stimuli: {error.message}",)


def _provenance(study: study_pb2.Study) -> Provenance:
    return Provenance(
        oracle=Identity(study.oracle_fingerprint),
        generator=Identity(study.generator_fingerprint),
        optimizer=OptimizerSpec(
            study.optimizer.name, structs.from_proto(study.optimizer.parameters)
        ),
        population=study.population,
        stimulus_shape=tuple(study.stimulus_shape),
        noisy=study.noisy,
        versions=versions(),
    )
