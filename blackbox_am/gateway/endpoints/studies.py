"""Studies over HTTP: lists, one study, its curves and its log."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from blackbox_am.errors import InvalidInput
from blackbox_am.gateway import answers, histories, parameters
from blackbox_am.gateway.documents import events, studies
from blackbox_am.gateway.gateway import Gateway, gateway_of
from blackbox_am.rpc.names import study_name
from blackbox_am.rpc.progress import state_to_proto
from blackbox_am.v1 import study_pb2
from blackbox_am.v1 import study_service_pb2 as pb

PAGE = 100
MAX_PAGE = 1000
POINTS = 400
MAX_POINTS = 10_000
TARGETS = 200
"""Number of targets whose curves are shown where a request names none."""
MAX_TARGETS = 2000
LOG = 200
MAX_LOG = 1000


async def list_studies(request: Request) -> Response:
    """GET /api/studies."""
    gateway = gateway_of(request)
    oracle = request.query_params.get("oracle")
    asked = pb.ListStudiesRequest(
        page_size=parameters.whole(request, "page_size", PAGE, 1, MAX_PAGE),
        page_token=request.query_params.get("page_token", ""),
        states=[state_to_proto(state) for state in parameters.states(request)],
        labels=parameters.labels(request),
    )
    answer = await gateway.upstream.call(gateway.upstream.studies.ListStudies, asked)
    groups = await gateway.groups.members(answer.studies)
    rows = [
        studies.summary(study, groups)
        for study in answer.studies
        if oracle is None or study.spec.oracle == oracle
    ]
    return answers.json({"studies": rows, "next_page_token": answer.next_page_token})


async def get_study(request: Request) -> Response:
    """GET /api/studies/{study}."""
    gateway = gateway_of(request)
    message = await study_of(gateway, parameters.study_id(request))
    groups = await gateway.groups.members([message])
    return answers.json(studies.study(message, groups))


async def get_curves(request: Request) -> Response:
    """GET /api/studies/{study}/curves."""
    gateway, study_id = gateway_of(request), parameters.study_id(request)
    count = parameters.whole(request, "points", POINTS, 2, MAX_POINTS)
    study = await study_of(gateway, study_id)
    etag = answers.tag(study.name, study.create_time, study.sequence, request.url.query)
    unchanged = answers.unchanged(request, etag)
    if unchanged is not None:
        return unchanged
    asked = parameters.wholes(request, "targets", MAX_TARGETS)
    targets = sorted(set(asked)) or list(range(min(study.target_count, TARGETS)))
    if targets and targets[-1] >= study.target_count:
        raise InvalidInput(
            f"targets: the study has targets 0 to {study.target_count - 1}, got {targets[-1]}",
            field="targets",
        )
    if count * len(targets) > histories.MAX_POINTS:
        raise InvalidInput(
            f"points: {count} points of {len(targets)} targets are more than "
            f"{histories.MAX_POINTS}; ask for fewer points or targets",
            field="points",
        )
    found = await histories.curves(gateway.upstream, study_id, targets, count)
    natural = [_natural(study, target) for target in targets]
    content = {
        "targets": targets,
        "titles": [study.targets[target].title for target in targets],
        "generations": found.generations,
        "rows": found.rows,
        "best_so_far": found.best_so_far.tolist(),
        "mean": found.mean_scores.tolist(),
        "natural_maximum": [None if one is None else one.maximum for one in natural],
        "natural_mean": [None if one is None else one.mean for one in natural],
        "closed_generations": found.closed_generations,
        "sequence": study.sequence,
    }
    return answers.tagged(answers.encoded(content), "application/json", etag)


async def get_log(request: Request) -> Response:
    """GET /api/studies/{study}/events-log."""
    gateway, study_id = gateway_of(request), parameters.study_id(request)
    after = parameters.whole(request, "after", 0, 0, 2**53)
    limit = parameters.whole(request, "limit", LOG, 1, MAX_LOG)
    generations = parameters.whole(request, "generations", 0, 0, 1)
    asked = pb.ListEventsRequest(
        name=study_name(study_id), page_size=limit, with_generations=bool(generations)
    )
    answer = await gateway.upstream.call(gateway.upstream.studies.ListEvents, asked)
    found = [events.logged(event) for event in answer.events if event.sequence > after]
    return answers.json(found[::-1])


async def study_of(gateway: Gateway, study_id: str) -> study_pb2.Study:
    """A study of the server.

    Raises:
        NotFound: if it does not exist.
        ServerUnavailable: if the server is away.
    """
    request = pb.GetStudyRequest(name=study_name(study_id))
    answer = await gateway.upstream.call(gateway.upstream.studies.GetStudy, request)
    found: study_pb2.Study = answer.study
    return found


def _natural(study: study_pb2.Study, target: int) -> study_pb2.Standing | None:
    found = study.targets[target]
    return found.natural if found.HasField("natural") else None
