"""The server, its oracles and generators over HTTP, and natural images of a unit."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from blackbox_am.errors import BlackboxError, InvalidInput, NotFound, did_you_mean
from blackbox_am.gateway import answers, drawing, parameters
from blackbox_am.gateway.documents import catalog
from blackbox_am.gateway.gateway import gateway_of
from blackbox_am.gateway.tables import generators
from blackbox_am.rpc import tensors
from blackbox_am.v1 import catalog_service_pb2 as pb
from blackbox_am.v1 import tensor_pb2
from blackbox_am.version import __version__

SIZE = 128
COUNT = 9
MAX_COUNT = 100
PAGE = 200
MAX_PAGE = 1000
FEATURES = ("curves", "generation_pictures", "natural_images", "groups")
"""What this gateway can do, so that a page need not guess."""


async def get_server(request: Request) -> Response:
    """GET /api/server."""
    gateway = gateway_of(request)
    content = {
        "version": "",
        "api_version": "",
        "address": gateway.settings.server,
        "connected": False,
        "message": "",
        "device": "",
        "features": [],
        "changes_allowed": gateway.settings.changes_allowed,
        "gateway": {
            "version": __version__,
            "features": list(FEATURES),
            "streams": gateway.hub.streams,
            "watched_studies": gateway.hub.watched,
        },
    }
    try:
        info = await gateway.upstream.info()
    except BlackboxError as error:
        return answers.json(content | {"message": error.message})
    found = {
        "version": info.version,
        "api_version": info.api_version,
        "connected": True,
        "device": info.device,
        "features": list(info.features),
    }
    return answers.json(content | found)


async def list_oracles(request: Request) -> Response:
    """GET /api/oracles."""
    found = [catalog.oracle(oracle) for oracle in await _oracles(request)]
    return answers.json({"oracles": found})


async def get_oracle(request: Request) -> Response:
    """GET /api/oracles/{oracle}."""
    name = request.path_params["oracle"]
    oracles = {oracle.name: oracle for oracle in await _oracles(request)}
    if name not in oracles:
        raise NotFound(f"the server has no oracle {name[:80]!r}{did_you_mean(name, oracles)}")
    return answers.json(catalog.oracle(oracles[name], labels=True))


async def list_units(request: Request) -> Response:
    """GET /api/oracles/{oracle}/units."""
    gateway = gateway_of(request)
    asked = pb.ListUnitsRequest(
        oracle=request.path_params["oracle"],
        layer=request.query_params.get("layer", ""),
        page_size=parameters.whole(request, "page_size", PAGE, 1, MAX_PAGE),
        page_token=request.query_params.get("page_token", ""),
    )
    answer = await gateway.upstream.call(gateway.upstream.catalog.ListUnits, asked)
    return answers.json({"units": list(answer.units), "next_page_token": answer.next_page_token})


async def list_generators(request: Request) -> Response:
    """GET /api/generators."""
    found = await generators(gateway_of(request).upstream)
    return answers.json({"generators": [catalog.generator(generator) for generator in found]})


async def natural_images(request: Request) -> Response:
    """GET /api/oracles/{oracle}/natural."""
    count = parameters.whole(request, "count", COUNT, 1, MAX_COUNT)
    found = await _top_images(request, count)
    base = request.url.path + "/"
    query = {"unit": request.query_params["unit"]}
    if "images" in request.query_params:
        query["images"] = request.query_params["images"]
    images = [
        {
            "rank": rank,
            "image": image.image,
            "activation": image.activation,
            "png": f"{base}{rank}.png?{urlencode(query)}",
        }
        for rank, image in enumerate(found.images)
    ]
    return answers.json({"images": images, "observed": found.observed})


async def natural_image(request: Request) -> Response:
    """GET /api/oracles/{oracle}/natural/{rank}.png."""
    gateway = gateway_of(request)
    rank = parameters.number(request.path_params["rank"], "rank", 0, MAX_COUNT - 1)
    size = parameters.whole(request, "size", SIZE, drawing.LEAST_SIZE, drawing.MOST_SIZE)
    found = await _top_images(request, rank + 1)
    if len(found.images) <= rank:
        raise NotFound(f"there is no natural image of rank {rank}: {len(found.images)} are known")
    stimulus = found.images[rank].stimulus
    etag = answers.tag("natural", list(stimulus.shape), stimulus.data, size)
    unchanged = answers.unchanged(request, etag)
    if unchanged is not None:
        return unchanged
    content = gateway.pictures.get(etag)
    if content is None:
        content = await asyncio.to_thread(drawing.png, tensors.from_proto(stimulus), size)
        gateway.pictures.put(etag, content)
    return answers.tagged(content, "image/png", etag)


async def _oracles(request: Request) -> list[pb.OracleInfo]:
    gateway = gateway_of(request)
    found: list[pb.OracleInfo] = []
    token = ""
    while True:
        asked = pb.ListOraclesRequest(page_token=token)
        answer = await gateway.upstream.call(gateway.upstream.catalog.ListOracles, asked)
        found += answer.oracles
        token = answer.next_page_token
        if not token:
            return found


async def _top_images(request: Request, count: int) -> pb.GetTopImagesResponse:
    gateway = gateway_of(request)
    unit = request.query_params.get("unit", "")
    if not unit:
        raise InvalidInput("unit: name a unit, such as ?unit=head:3", field="unit")
    asked = pb.GetTopImagesRequest(
        oracle=request.path_params["oracle"],
        unit=unit,
        images=request.query_params.get("images", ""),
        count=count,
        stimulus_dtype=tensor_pb2.DTYPE_UINT8,
    )
    found: pb.GetTopImagesResponse = await gateway.upstream.call(
        gateway.upstream.catalog.GetTopImages, asked
    )
    return found
