"""Changes over HTTP, only where the operator allows them and with the token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from blackbox_am.core.expressions import objective
from blackbox_am.core.spec import ObjectiveSpec, StudySpec, from_plain, to_plain
from blackbox_am.errors import InvalidInput, NotFound
from blackbox_am.gateway import answers, parameters
from blackbox_am.gateway.documents import studies
from blackbox_am.gateway.gateway import gateway_of
from blackbox_am.gateway.security import check_change
from blackbox_am.rpc import names, specs
from blackbox_am.v1 import study_pb2
from blackbox_am.v1 import study_service_pb2 as pb

MAX_QUERIES = 10**9
VERBS = ("pause", "resume", "cancel", "extend")


async def create_study(request: Request) -> Response:
    """POST /api/studies."""
    gateway = gateway_of(request)
    check_change(request, gateway.settings)
    body = await parameters.body(request)
    _only(body, {"study_id", "spec"})
    study_id, plain = body.get("study_id") or "", body.get("spec")
    if not isinstance(study_id, str) or not isinstance(plain, dict):
        raise InvalidInput('expected {"study_id": "...", "spec": {...}}', field="spec")
    message = _spec(plain)
    asked = pb.CreateStudyRequest(spec=message, study_id=study_id)
    answer = await gateway.upstream.call(gateway.upstream.studies.CreateStudy, asked)
    found = studies.study(answer.study, gateway.groups.known)
    gateway.hub.poke(found["id"])
    return answers.json(found, 201, {"location": f"/api/studies/{found['id']}"})


async def steer_study(request: Request) -> Response:
    """POST /api/studies/{study}:{verb}."""
    gateway = gateway_of(request)
    check_change(request, gateway.settings)
    verb = request.path_params["verb"]
    if verb not in VERBS:
        raise NotFound(f"a study can be steered with {', '.join(VERBS)}, not {verb[:40]!r}")
    name = names.study_name(parameters.study_id(request))
    body = await parameters.body(request)
    method, asked = _CALLS[verb](gateway.upstream.studies, name, body)
    answer = await gateway.upstream.call(method, asked)
    gateway.hub.poke(parameters.study_id(request))
    return answers.json(studies.study(answer.study, gateway.groups.known))


def _spec(plain: dict[str, Any]) -> study_pb2.StudySpec:
    """The specification in `plain`, in which a target may be the address of a unit, and the
    optimizer its name.
    """
    given = dict(plain)
    if isinstance(given.get("targets"), list):
        given["targets"] = [_target(target) for target in given["targets"]]
    if isinstance(given.get("optimizer"), str):
        given["optimizer"] = {"name": given["optimizer"]}
    try:
        message = specs.study_to_proto(from_plain(StudySpec, given))
    except InvalidInput as error:
        error.field = f"spec.{error.field}" if error.field else "spec"
        raise
    if given.get("seed") is None:
        message.ClearField("seed")  # the server draws one
    return message


def _target(target: Any) -> Any:
    return to_plain(objective(target)) if isinstance(target, str | ObjectiveSpec) else target


def _pause(stub: Any, name: str, body: dict[str, Any]) -> tuple[Any, Any]:
    _only(body, set())
    return stub.PauseStudy, pb.PauseStudyRequest(name=name)


def _resume(stub: Any, name: str, body: dict[str, Any]) -> tuple[Any, Any]:
    _only(body, set())
    return stub.ResumeStudy, pb.ResumeStudyRequest(name=name)


def _cancel(stub: Any, name: str, body: dict[str, Any]) -> tuple[Any, Any]:
    _only(body, set())
    return stub.CancelStudy, pb.CancelStudyRequest(name=name)


def _extend(stub: Any, name: str, body: dict[str, Any]) -> tuple[Any, Any]:
    _only(body, {"queries_per_target"})
    queries = body.get("queries_per_target")
    if isinstance(queries, bool) or not isinstance(queries, int) or not 1 <= queries <= MAX_QUERIES:
        raise InvalidInput(
            f"queries_per_target: expected a whole number from 1 to {MAX_QUERIES}, got "
            f"{queries!r:.40}",
            field="queries_per_target",
        )
    budget = study_pb2.Budget(queries_per_target=queries)
    return stub.ExtendStudy, pb.ExtendStudyRequest(name=name, budget=budget)


_CALLS: dict[str, Callable[[Any, str, dict[str, Any]], tuple[Any, Any]]] = {
    "pause": _pause,
    "resume": _resume,
    "cancel": _cancel,
    "extend": _extend,
}


def _only(body: dict[str, Any], known: set[str]) -> None:
    strange = sorted(set(body) - known)
    if strange:
        expected = ", ".join(sorted(known)) or "none"
        raise InvalidInput(
            f"the body has an unknown field {strange[0][:40]!r}; known fields: {expected}",
            field=strange[0][:40],
        )
