"""StudyService: convert, call, convert."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from blackbox_am.core.spec import Budget, StudySpec
from blackbox_am.core.store import IndexedStudy
from blackbox_am.core.types import Best, StudyState
from blackbox_am.errors import BlackboxError, InvalidInput, StoreCorrupt
from blackbox_am.evaluation.rendering import render
from blackbox_am.rpc import names, pages, progress, specs, times
from blackbox_am.service import artifacts, asking, histories, models, shown, watching
from blackbox_am.service.auth.principals import only_of
from blackbox_am.service.backend import Backend
from blackbox_am.service.calls import (
    by_owner,
    receiving,
    streaming,
    unary,
    unary_control,
    unary_model,
    unary_remote,
    unary_undone,
)
from blackbox_am.service.creating import create, ordering, view
from blackbox_am.service.fields import check_targets, under
from blackbox_am.service.stimuli import as_dtype, check_stimulus_dtype
from blackbox_am.service.views import study_to_proto, study_view, unreadable
from blackbox_am.studies import decisions, reports
from blackbox_am.studies.baselines import natural_rows
from blackbox_am.studies.events import StateChanged
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.published import Published
from blackbox_am.studies.study import Study
from blackbox_am.v1 import study_pb2
from blackbox_am.v1 import study_service_pb2 as pb
from blackbox_am.v1.study_service_pb2_grpc import StudyServiceServicer

PAGE_OF_STUDIES = 50
PAGE_OF_GENERATIONS = 100
SHORTEST_LEASE_SECONDS = 0.001


def _given_back(servicer: StudyService, request: pb.AskRequest, answer: pb.AskResponse) -> None:
    """Frees the candidates of an answer that its caller never got."""
    soon = times.duration_to_proto(SHORTEST_LEASE_SECONDS, "lease_duration")
    renewed = pb.RenewLeaseRequest(name=request.name, lease_id=answer.lease_id, lease_duration=soon)
    if answer.lease_id:
        with suppress(BlackboxError):  # the lease runs out by itself
            by_owner(servicer, "RenewLease", renewed)


class StudyService(StudyServiceServicer):
    """Studies: create, watch, evaluate, control, read."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @unary_remote
    def CreateStudy(  # noqa: N802
        self, request: pb.CreateStudyRequest
    ) -> pb.CreateStudyResponse:
        return pb.CreateStudyResponse(study=create(self.backend, request))

    @unary
    def GetStudy(  # noqa: N802
        self, request: pb.GetStudyRequest
    ) -> pb.GetStudyResponse:
        study = view(self.backend, names.study_id(request.name), study_view(request.view))
        return pb.GetStudyResponse(study=study)

    @unary
    def ListStudies(self, request: pb.ListStudiesRequest) -> pb.ListStudiesResponse:  # noqa: N802
        states = {_asked_state(number) for number in request.states}
        labels = dict(request.labels)
        full = study_view(request.view, study_pb2.STUDY_VIEW_BASIC)
        words = [*sorted(state.value for state in states), *sorted(labels.items()), full]
        scope = f"studies:{words}"
        after = str(pages.decode(request.page_token, scope, ""))
        size = pages.page_size(request.page_size, PAGE_OF_STUDIES)

        principal = only_of()

        def entries() -> Iterator[tuple[str, study_pb2.Study]]:
            wanted = [state.value for state in states]
            for entry in self._indexed(after, size + 1, wanted, principal):
                try:
                    published = Published.read(entry)
                    if labels.items() <= published.created.spec.labels.items():
                        found = study_to_proto(entry.study_id, published, full, entry.principal)
                        yield entry.study_id, found
                except StoreCorrupt as error:  # a damaged row does not hide other rows
                    if not labels:
                        yield entry.study_id, unreadable(entry.study_id, error.message)

        studies, token = pages.fill(entries(), size, scope)
        return pb.ListStudiesResponse(studies=studies, next_page_token=token)

    @streaming
    def WatchStudy(  # noqa: N802
        self, request: pb.WatchStudyRequest
    ) -> AsyncGenerator[pb.WatchStudyResponse, None]:
        return watching.watch(self.backend, request)

    # Steering

    @unary_control
    def PauseStudy(  # noqa: N802
        self, request: pb.PauseStudyRequest
    ) -> pb.PauseStudyResponse:
        study = self._steer(request.name, decisions.paused, LiveStudy.pause)
        return pb.PauseStudyResponse(study=study)

    @unary_control
    def ResumeStudy(  # noqa: N802
        self, request: pb.ResumeStudyRequest
    ) -> pb.ResumeStudyResponse:
        models.check(self.backend, names.study_id(request.name), adopt=request.adopt)
        study = self._steer(request.name, decisions.resumed, LiveStudy.resume)
        self.backend.workers.submit(names.study_id(request.name))
        return pb.ResumeStudyResponse(study=study)

    @unary_control
    def CancelStudy(  # noqa: N802
        self, request: pb.CancelStudyRequest
    ) -> pb.CancelStudyResponse:
        study = self._steer(request.name, decisions.cancelled, LiveStudy.cancel)
        return pb.CancelStudyResponse(study=study)

    @unary_control
    def ExtendStudy(  # noqa: N802
        self, request: pb.ExtendStudyRequest
    ) -> pb.ExtendStudyResponse:
        study_id = names.study_id(request.name)

        def extend(live: LiveStudy) -> None:
            with live.reading() as study:
                budget = _extended(request, study)
                with ordering(self.backend, study_id, study, budget):
                    live.extend(budget)

        self.backend.registry.act(study_id, extend)
        self.backend.workers.submit(study_id)
        return pb.ExtendStudyResponse(study=view(self.backend, study_id))

    @unary_control
    def DeleteStudy(  # noqa: N802
        self, request: pb.DeleteStudyRequest
    ) -> pb.DeleteStudyResponse:
        self.backend.registry.delete(names.study_id(request.name))
        return pb.DeleteStudyResponse()

    # Evaluating

    @unary_undone(_given_back)
    def Ask(self, request: pb.AskRequest) -> pb.AskResponse:  # noqa: N802
        return asking.ask(self.backend, request)

    @unary_control
    def Tell(self, request: pb.TellRequest) -> pb.TellResponse:  # noqa: N802
        return asking.tell(self.backend, request)

    @unary_control
    def RenewLease(self, request: pb.RenewLeaseRequest) -> pb.RenewLeaseResponse:  # noqa: N802
        return asking.renew(self.backend, request)

    # Reading

    @unary
    def ListGenerations(  # noqa: N802
        self, request: pb.ListGenerationsRequest
    ) -> pb.ListGenerationsResponse:
        study_id = names.study_id(request.name)
        scope = f"generations:{study_id}:{request.after_generation}"
        after = int(pages.decode(request.page_token, scope, 0))
        size, store = pages.page_size(request.page_size, PAGE_OF_GENERATIONS), self.backend.store
        first = request.after_generation + 1 if request.HasField("after_generation") else 0
        entries = (
            (sequence, progress.generation_to_proto(generation))
            for sequence, generation in reports.generations_after(store, study_id, after)
            if generation.generation >= first
        )
        generations, token = pages.fill(entries, size, scope)
        return pb.ListGenerationsResponse(generations=generations, next_page_token=token)

    @unary_model
    def GetBest(self, request: pb.GetBestRequest) -> pb.GetBestResponse:  # noqa: N802
        study_id = names.study_id(request.name)
        dtype, wanted = check_stimulus_dtype(request.stimulus_dtype), set(request.targets)
        past = request.generation if request.HasField("generation") else None
        scope = f"best:{study_id}:{request.with_stimuli}:{dtype}:{sorted(wanted)}:{past}"
        after = int(pages.decode(request.page_token, scope, -1))
        size = pages.page_size(request.page_size, pages.MAX_PAGE_SIZE)
        spec = self.backend.registry.published(study_id).created.spec
        check_targets(wanted, len(spec.targets))
        best = self._best(request, study_id, wanted or set(range(len(spec.targets))))
        best = [b for b in best if b.target > after]
        rendered = self._rendered(spec, best, dtype) if request.with_stimuli else best
        entries = ((b.target, progress.best_to_proto(b)) for b in rendered)
        page, token = pages.fill(entries, size, scope)
        return pb.GetBestResponse(best=page, next_page_token=token)

    @unary
    def GetCurves(self, request: pb.GetCurvesRequest) -> pb.GetCurvesResponse:  # noqa: N802
        return histories.curves(self.backend, request)

    @unary
    def ListEvents(self, request: pb.ListEventsRequest) -> pb.ListEventsResponse:  # noqa: N802
        return histories.events(self.backend, request)

    @streaming
    def ReadHistory(  # noqa: N802
        self, request: pb.ReadHistoryRequest
    ) -> AsyncGenerator[pb.ReadHistoryResponse, None]:
        return shown.history(self.backend, request)

    @receiving
    async def WriteArtifact(  # noqa: N802
        self, requests: AsyncIterator[pb.WriteArtifactRequest]
    ) -> pb.WriteArtifactResponse:
        return await artifacts.write(self.backend, requests)

    @streaming
    def ReadArtifact(  # noqa: N802
        self, request: pb.ReadArtifactRequest
    ) -> AsyncGenerator[pb.ReadArtifactResponse, None]:
        return artifacts.read(self.backend, request)

    def _best(self, request: pb.GetBestRequest, study_id: str, wanted: set[int]) -> Sequence[Best]:
        if request.HasField("generation"):
            return histories.best_after(self.backend, request, study_id, wanted)
        best = self.backend.registry.best(study_id)
        return [b for b in best if b.target in wanted]

    def _indexed(
        self, after: str, rows: int, states: list[str], principal: str | None
    ) -> Iterator[IndexedStudy]:
        """The rows of the index after `after`, read in blocks of `rows`."""
        while True:
            entries = self.backend.store.studies(after, rows, states, principal)
            yield from entries
            if len(entries) < rows:
                return
            after = entries[-1].study_id

    def _steer(
        self,
        name: str,
        decide: Callable[[Study], StateChanged | None],
        act: Callable[[LiveStudy], None],
    ) -> study_pb2.Study:
        """Calls `act` if the study is active, or if `decide` returns an event."""
        study_id = names.study_id(name)
        published = self.backend.registry.published(study_id)
        # An ended study is not loaded if no action is needed.
        active = published.progress.state.active
        if active or decide(self.backend.registry.load(study_id)) is not None:
            self.backend.registry.act(study_id, act)
        return view(self.backend, study_id)

    def _rendered(self, spec: StudySpec, best: list[Best], dtype: str) -> Iterator[Best]:
        generator = self.backend.generator_of(spec)
        if generator is None:
            raise InvalidInput(
                "the study searches a bare space and has no generator: its latents are the "
                "stimuli; ask without with_stimuli",
                field="with_stimuli",
            )
        natural = natural_rows(spec, self.backend.images_of(spec), generator)
        for start in range(0, len(best), 32):
            piece = best[start : start + 32]
            latents = np.stack([b.latent for b in piece])
            stimuli = render(generator, latents, [b.target for b in piece])
            for b, stimulus in zip(piece, as_dtype(stimuli, dtype), strict=True):
                image = None if b.natural is None else natural(b.natural.best_image)
                shown = None if image is None else as_dtype(image, dtype)
                yield replace(b, stimulus=stimulus, natural_stimulus=shown)


def _extended(request: pb.ExtendStudyRequest, study: Study) -> Budget:
    with under("budget"):
        return specs.extended_from_proto(request.budget, study.budget)


def _asked_state(number: int) -> StudyState:
    state = progress.state_from_proto(number)
    if state is StudyState.UNKNOWN:
        raise InvalidInput(f"states: StudyState has no value of number {number}", field="states")
    return state
