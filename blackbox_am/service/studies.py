"""StudyService: convert, call, convert."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import replace

import numpy as np
from google.protobuf.empty_pb2 import Empty

from blackbox_am.core.spec import StudySpec
from blackbox_am.core.types import Best
from blackbox_am.errors import InvalidInput, StoreCorrupt, Unsupported
from blackbox_am.rpc import names, pages, progress, specs
from blackbox_am.service import asking, watching
from blackbox_am.service.backend import Backend
from blackbox_am.service.calls import streaming, unary, unary_control, unary_model, unary_remote
from blackbox_am.service.creating import create, view
from blackbox_am.service.rendering import render
from blackbox_am.service.views import study_to_proto, unreadable
from blackbox_am.studies import decisions, reports
from blackbox_am.studies.events import StateChanged
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.published import Published
from blackbox_am.studies.study import Study
from blackbox_am.v1 import study_pb2
from blackbox_am.v1 import study_service_pb2 as pb
from blackbox_am.v1.study_service_pb2_grpc import StudyServiceServicer

PAGE_OF_STUDIES = 50
PAGE_OF_GENERATIONS = 100


class StudyService(StudyServiceServicer):
    """Searches: create, watch, evaluate, steer, read."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @unary_remote
    def CreateStudy(self, request: pb.CreateStudyRequest) -> study_pb2.Study:  # noqa: N802
        return create(self.backend, request)

    @unary
    def GetStudy(self, request: pb.GetStudyRequest) -> study_pb2.Study:  # noqa: N802
        return view(self.backend, names.study_id(request.name))

    @unary
    def ListStudies(self, request: pb.ListStudiesRequest) -> pb.ListStudiesResponse:  # noqa: N802
        states = {progress.state_from_proto(number) for number in request.states}
        scope = "studies:" + ",".join(sorted(state.value for state in states))
        after = str(pages.decode(request.page_token, scope, ""))
        size = pages.page_size(request.page_size, PAGE_OF_STUDIES)

        def entries() -> Iterator[tuple[str, study_pb2.Study]]:
            wanted = [state.value for state in states]
            for entry in self.backend.store.studies(after, size + 1, wanted):
                try:
                    message = study_to_proto(entry.study_id, Published.read(entry))
                except StoreCorrupt as error:  # one bad row hides no other
                    message = unreadable(entry.study_id, error.message)
                yield entry.study_id, message

        studies, token = pages.fill(entries(), size, scope)
        return pb.ListStudiesResponse(studies=studies, next_page_token=token)

    @streaming
    def WatchStudy(  # noqa: N802
        self, request: pb.WatchStudyRequest
    ) -> AsyncGenerator[pb.WatchStudyResponse, None]:
        return watching.watch(self.backend, request)

    # Steering

    @unary_control
    def PauseStudy(self, request: pb.PauseStudyRequest) -> study_pb2.Study:  # noqa: N802
        return self._steer(request.name, decisions.paused, LiveStudy.pause)

    @unary_control
    def ResumeStudy(self, request: pb.ResumeStudyRequest) -> study_pb2.Study:  # noqa: N802
        study = self._steer(request.name, decisions.resumed, LiveStudy.resume)
        self.backend.workers.submit(names.study_id(request.name))
        return study

    @unary_control
    def CancelStudy(self, request: pb.CancelStudyRequest) -> study_pb2.Study:  # noqa: N802
        return self._steer(request.name, decisions.cancelled, LiveStudy.cancel)

    @unary_control
    def ExtendStudy(self, request: pb.ExtendStudyRequest) -> study_pb2.Study:  # noqa: N802
        study_id = names.study_id(request.name)

        def extend(live: LiveStudy) -> None:
            with live.reading() as study:
                live.extend(specs.extended_from_proto(request.budget, study.budget))

        self.backend.registry.act(study_id, extend)
        self.backend.workers.submit(study_id)
        return view(self.backend, study_id)

    @unary_control
    def DeleteStudy(self, request: pb.DeleteStudyRequest) -> Empty:  # noqa: N802
        self.backend.registry.delete(names.study_id(request.name))
        return Empty()

    # Evaluating

    @unary_control
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
        scope = f"generations:{study_id}"
        after = int(pages.decode(request.page_token, scope, 0))
        size, store = pages.page_size(request.page_size, PAGE_OF_GENERATIONS), self.backend.store
        entries = (
            (sequence, progress.generation_to_proto(generation))
            for sequence, generation in reports.generations_after(store, study_id, after)
        )
        generations, token = pages.fill(entries, size, scope)
        return pb.ListGenerationsResponse(generations=generations, next_page_token=token)

    @unary_model
    def GetBest(self, request: pb.GetBestRequest) -> pb.GetBestResponse:  # noqa: N802
        study_id = names.study_id(request.name)
        scope = f"best:{study_id}:{request.with_stimuli}"
        after = int(pages.decode(request.page_token, scope, -1))
        size = pages.page_size(request.page_size, pages.MAX_PAGE_SIZE)
        spec = self.backend.registry.published(study_id).created.spec
        best = [b for b in self.backend.registry.best(study_id) if b.target > after]
        rendered = self._rendered(spec, best, request.with_stimuli)
        entries = ((b.target, progress.best_to_proto(b)) for b in rendered)
        page, token = pages.fill(entries, size, scope)
        return pb.GetBestResponse(best=page, next_page_token=token)

    @unary
    def ReadArtifact(self, request: pb.ReadArtifactRequest) -> None:  # noqa: N802
        raise Unsupported(
            f"{request.name[:80]!r}: this version keeps no artifacts; read a study with GetBest "
            "and ListGenerations"
        )

    def _steer(
        self,
        name: str,
        decide: Callable[[Study], StateChanged | None],
        act: Callable[[LiveStudy], None],
    ) -> study_pb2.Study:
        """Does what `act` does, where `decide` says that there is something to do."""
        study_id = names.study_id(name)
        published = self.backend.registry.published(study_id)
        # One that has ended is not taken up where nothing is to be done.
        active = published.progress.state.active
        if active or decide(self.backend.registry.load(study_id)) is not None:
            self.backend.registry.act(study_id, act)
        return view(self.backend, study_id)

    def _rendered(self, spec: StudySpec, best: list[Best], with_stimuli: bool) -> Iterator[Best]:
        if not with_stimuli:
            yield from best
            return
        generator = self.backend.generator_of(spec)
        if generator is None:
            raise InvalidInput(
                "the study searches a bare space and has no generator: its latents are the "
                "stimuli; ask without with_stimuli",
                field="with_stimuli",
            )
        for start in range(0, len(best), 32):
            piece = best[start : start + 32]
            latents = np.stack([b.latent for b in piece])
            stimuli = render(generator, latents, [b.target for b in piece])
            for b, stimulus in zip(piece, stimuli, strict=True):
                yield replace(b, stimulus=stimulus)
