"""The inputs that an attack changes, and the changes, as pictures over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response

from blackbox_am.attacks.results import float_stimuli
from blackbox_am.gateway import answers, drawing, parameters
from blackbox_am.gateway.bests import Place
from blackbox_am.gateway.endpoints.best import exact_best, picture_size, place_of
from blackbox_am.gateway.endpoints.studies import study_of
from blackbox_am.gateway.gateway import gateway_of
from blackbox_am.gateway.inputs import PARAMETER, as_picture, changed
from blackbox_am.rpc import tensors
from blackbox_am.v1 import study_pb2


async def input_png(request: Request) -> Response:
    """GET /api/studies/{study}/targets/{target}/input.png."""
    gateway, size = gateway_of(request), picture_size(request)
    study = await study_of(gateway, parameters.study_id(request))
    target = _target_of(request, study)
    row, clean = await gateway.inputs.of(study, target)
    digest = study.spec.generator.inputs[PARAMETER]
    etag = answers.tag("input", digest, row, size)
    return await _picture(request, etag, float_stimuli(clean), size)


async def change_png(request: Request) -> Response:
    """GET /api/studies/{study}/targets/{target}/change.png."""
    gateway, size = gateway_of(request), picture_size(request)
    study = await study_of(gateway, parameters.study_id(request))
    target, generation = _target_of(request, study), place_of(request)[1]
    _, clean = await gateway.inputs.of(study, target)
    best = await exact_best(gateway, study, target, generation)
    place = Place(parameters.study_id(request), study.create_time.ToNanoseconds(), best)
    change = changed(clean, tensors.from_proto(best.stimulus))
    return await _picture(request, place.tag("change", size), as_picture(change), size)


async def _picture(request: Request, etag: str, stimulus: NDArray[Any], size: int) -> Response:
    unchanged = answers.unchanged(request, etag)
    if unchanged is not None:
        return unchanged
    pictures = gateway_of(request).pictures
    content = pictures.get(etag)
    if content is None:
        content = await asyncio.to_thread(drawing.png, stimulus, size)
        pictures.put(etag, content)
    return answers.tagged(content, "image/png", etag)


def _target_of(request: Request, study: study_pb2.Study) -> int:
    """The target in the path, which the study has.

    Raises:
        InvalidInput: for another number.
    """
    most = study.target_count - 1
    return parameters.number(request.path_params["target"], "target", 0, most)
