"""The role that each method needs, the changes that are logged, and the methods for everybody."""

from __future__ import annotations

from blackbox_am.errors import Forbidden
from blackbox_am.service.auth.principals import Principal, Role

PACKAGE = "/blackbox_am.v1."
OPEN = ("/grpc.health.v1.Health/",)
"""Beginnings of the methods that need no token."""

_READS = {
    "StudyService": (
        "GetStudy ListStudies WatchStudy ListGenerations GetBest GetCurves ListEvents ReadHistory "
        "ReadArtifact"
    ),
    "GroupService": "GetGroup ListGroups WatchGroup",
    "OracleService": "DescribeOracle",
    "CatalogService": (
        "GetServerInfo ListOptimizers ListGenerators ListOracles ListObjectives ListCriteria "
        "ListTransforms ListMeasures ListUnits GetTopImages Sample Render"
    ),
}
_RUNS = {
    "StudyService": "Ask Tell RenewLease",
    "OracleService": "Observe ObserveStream",
    "CatalogService": "ProbeOracle",
}
_CHANGES = {
    "StudyService": (
        "CreateStudy PauseStudy ResumeStudy CancelStudy ExtendStudy DeleteStudy WriteArtifact"
    ),
    "GroupService": "CreateGroup PauseGroup ResumeGroup CancelGroup ExtendGroup DeleteGroup",
}


def _methods(table: dict[str, str]) -> frozenset[str]:
    return frozenset(
        f"{PACKAGE}{service}/{name}" for service, names in table.items() for name in names.split()
    )


CHANGES = _methods(_CHANGES)
"""Methods that create, change or delete, and are written to the audit log."""
ROLES = (
    dict.fromkeys(_methods(_READS), Role.READER)
    | dict.fromkeys(_methods(_RUNS), Role.RUNNER)
    | dict.fromkeys(CHANGES, Role.RUNNER)
)
"""The smallest role for each method of this package."""


def needed(method: str) -> Role:
    """The smallest role for a method; an unlisted method of this package is for operators only, and
    the methods of other packages (reflection) are for readers.
    """
    if method.startswith(PACKAGE):
        return ROLES.get(method, Role.OPERATOR)
    return Role.READER


def check_role(principal: Principal, method: str) -> None:
    """Checks that a principal may call a method.

    Raises:
        Forbidden: if its role is too small.
    """
    role = needed(method)
    if principal.role < role:
        raise Forbidden(
            f"{method.rpartition('/')[2]} needs the role {role.word}, and the token of "
            f"{principal.name!r} has the role {principal.role.word}; ask an operator for another "
            "token"
        )
