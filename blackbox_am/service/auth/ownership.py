"""What belongs to whom. What belongs to another caller does not exist for a caller.

Operators see everything. What nobody owns, because it was made before the first token, is for
operators only.
"""

from __future__ import annotations

import hashlib
from typing import Any

from blackbox_am.core.principals import Claims
from blackbox_am.errors import NotFound, StudyExists
from blackbox_am.rpc import names
from blackbox_am.service.auth.principals import caller
from blackbox_am.v1 import group_service_pb2, study_pb2, study_service_pb2

ARTIFACTS = "artifacts/"
LONGEST_CLIENT_ID = 128
_ONE = {"studies": "study", "groups": "group"}


def check_request(claims: Claims, request: Any) -> None:
    """Checks that everything that exists and that a request names belongs to the caller.

    Raises:
        NotFound: if it belongs to another caller, as if it did not exist.
    """
    if caller() is None:
        return
    name = getattr(request, "name", "")
    if isinstance(name, str) and name:
        _check_name(claims, name)
    if isinstance(request, study_service_pb2.CreateStudyRequest):
        _check_spec(claims, request.spec, "spec.")
    elif isinstance(request, group_service_pb2.CreateGroupRequest):
        for index, member in enumerate(request.spec.members):
            _check_spec(claims, member.spec, f"spec.members[{index}].spec.")


def mark_request(request: Any) -> None:
    """Makes the names that a caller gave to itself and to its requests its own: two callers may use
    the same ones.
    """
    principal = caller()
    if principal is None:
        return
    for field in ("client_id", "request_id"):
        text = getattr(request, field, "")
        if isinstance(text, str) and 0 < len(text) <= LONGEST_CLIENT_ID:
            digest = hashlib.sha256(text.encode()).hexdigest()[:32]
            setattr(request, field, f"{principal.name}/{digest}")


def visible(claims: Claims, resource: str) -> bool:
    """Whether a study, a group or an artifact is there for the caller, if it exists."""
    principal = caller()
    if principal is None or principal.sees_all:
        return True
    if resource.startswith(ARTIFACTS):
        return principal.name in claims.writers(resource.removeprefix(ARTIFACTS))
    return claims.owner(resource) == principal.name


def check_existing(claims: Claims, resource: str, field: str) -> None:
    """Checks before a repeated creation that the existing study or group belongs to the caller.

    Raises:
        StudyExists: if it does not.
    """
    if not visible(claims, resource):
        raise _taken(resource, field)


def check_visible(claims: Claims, name: str) -> None:
    """Checks that what exists with a name is there for the caller.

    Raises:
        NotFound: if it is not, as the store says of what does not exist.
    """
    if not visible(claims, name):
        raise missing(name)


def missing(name: str) -> NotFound:
    """The error of the store for a study, a group or an artifact that does not exist."""
    kind, _, found = name.partition("/")
    if kind == "artifacts":
        return NotFound(
            f"the store has no artifact {found[:80]!r}; write the artifact first", field="digest"
        )
    return NotFound(f"there is no {_ONE[kind]} {found!r} in this store; list the {kind} first")


def _check_name(claims: Claims, name: str) -> None:
    if name.startswith(names.STUDIES):
        names.study_id(name)
    elif name.startswith(names.GROUPS):
        names.group_id(name)
    elif not name.startswith(ARTIFACTS):
        return  # the servicer says what a name looks like
    check_visible(claims, name)


def _check_spec(claims: Claims, spec: study_pb2.StudySpec, path: str) -> None:
    used = {f"generator.inputs.{name}": d for name, d in spec.generator.inputs.items()}
    used["baseline.artifact"] = spec.baseline.artifact
    resources = {field: ARTIFACTS + digest for field, digest in used.items() if digest}
    if spec.start.study:
        resources["start.study"] = spec.start.study
    for field, resource in resources.items():
        try:
            _check_name(claims, resource)
        except NotFound as error:
            error.field = path + field
            raise


def _taken(resource: str, field: str) -> StudyExists:
    kind, _, name = resource.partition("/")
    return StudyExists(
        f"the id {name!r} is taken by another {_ONE[kind]}; choose another id", field=field
    )
