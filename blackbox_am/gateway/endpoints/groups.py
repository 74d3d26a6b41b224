"""Groups of studies over HTTP: comparisons, sweeps, attacks."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from blackbox_am.core.ids import check_group_id
from blackbox_am.gateway import answers
from blackbox_am.gateway.documents import groups, studies
from blackbox_am.gateway.gateway import gateway_of
from blackbox_am.rpc import names
from blackbox_am.v1 import group_service_pb2 as pb
from blackbox_am.v1 import study_pb2


async def list_groups(request: Request) -> Response:
    """GET /api/groups."""
    found = await gateway_of(request).groups.all()
    return answers.json({"groups": [_group(group) for group in found]})


async def get_group(request: Request) -> Response:
    """GET /api/groups/{group}."""
    gateway = gateway_of(request)
    group_id = check_group_id(request.path_params["group"])
    asked = pb.GetGroupRequest(name=names.group_name(group_id))
    answer = await gateway.upstream.call(gateway.upstream.groups.GetGroup, asked)
    return answers.json(_group(answer.group))


def _group(message: pb.Group) -> dict[str, Any]:
    members = groups.members_of([message])

    def summary(study: study_pb2.Study) -> dict[str, Any]:
        return studies.summary(study, members)

    return groups.group(message, summary)
