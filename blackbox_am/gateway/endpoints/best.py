"""The best candidates of a study over HTTP: pictures and numbers."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response

from blackbox_am.core.stimuli import kind_of
from blackbox_am.errors import InvalidInput, NotFound
from blackbox_am.gateway import answers, drawing, parameters
from blackbox_am.gateway.bests import Place
from blackbox_am.gateway.endpoints.studies import study_of
from blackbox_am.gateway.gateway import Gateway, gateway_of
from blackbox_am.gateway.inputs import PARAMETER, changed, norms
from blackbox_am.rpc import tensors
from blackbox_am.v1 import study_pb2, tensor_pb2
from blackbox_am.v1 import study_service_pb2 as pb

SIZE = 128


async def best_png(request: Request) -> Response:
    """GET /api/studies/{study}/targets/{target}/best.png."""
    return await _png(request, "stimulus")


async def natural_png(request: Request) -> Response:
    """GET /api/studies/{study}/targets/{target}/natural.png."""
    return await _png(request, "natural_stimulus")


async def best_json(request: Request) -> Response:
    """GET /api/studies/{study}/targets/{target}/best.json."""
    gateway, study_id = gateway_of(request), parameters.study_id(request)
    study = await study_of(gateway, study_id)
    best = await exact_best(gateway, study, *place_of(request))
    drawn = study.spec.HasField("generator")
    values = tensors.from_proto(best.stimulus if drawn else best.latent).astype(np.float64)
    kind = kind_of(values.shape)
    row = await gateway.tables.row(study, values) if kind == "table" and drawn else None
    return answers.json(
        {
            "target": best.target,
            "title": best.title,
            "score": best.score,
            "generation": best.generation,
            "row": best.row,
            "shape": list(values.shape),
            "kind": kind,
            "values": row or (None if kind == "image" else values.tolist()),
            "activations": _activations(study, best),
            "change": await _change(gateway, study, best.target, values) if drawn else None,
        }
    )


async def _png(request: Request, field: Literal["stimulus", "natural_stimulus"]) -> Response:
    gateway, study_id = gateway_of(request), parameters.study_id(request)
    size = picture_size(request)
    target, generation = place_of(request)
    place = await gateway.bests.best(study_id, target, generation)
    if place is None:
        raise _none(target, generation)
    if field == "natural_stimulus" and not place.best.HasField("natural"):
        raise NotFound("the study has no natural images: it was created without a baseline")
    etag = _etag(place, field, size)
    unchanged = answers.unchanged(request, etag)
    if unchanged is not None:
        return unchanged
    content = gateway.pictures.get(etag)
    if content is None:
        place = await _rendered(gateway, place, generation)
        if not place.best.HasField(field):
            raise NotFound(f"the picture of target {target} is gone; ask again")
        etag = _etag(place, field, size)  # a better one may have been found meanwhile
        content = await _drawn(getattr(place.best, field), size)
        gateway.pictures.put(etag, content)
    return answers.tagged(content, "image/png", etag)


async def _rendered(gateway: Gateway, place: Place, generation: int | None) -> Place:
    try:
        return await gateway.bests.rendered(place, generation)
    except InvalidInput as error:
        if error.field != "with_stimuli":
            raise
        raise NotFound(
            "the study searches a bare space and has no pictures; see best.json"
        ) from error


def _etag(place: Place, field: str, size: int) -> str:
    natural = place.best.natural
    number = (natural.best_image, natural.maximum) if field != "stimulus" else ()
    return place.tag(field, size, *number)


async def _drawn(tensor: tensor_pb2.Tensor, size: int) -> bytes:
    return await asyncio.to_thread(drawing.png, tensors.from_proto(tensor), size)


def place_of(request: Request) -> tuple[int, int | None]:
    """The target in the path, and the generation in the query.

    Raises:
        InvalidInput: for text that is no number.
    """
    target = parameters.number(request.path_params["target"], "target")
    return target, parameters.optional_whole(request, "generation")


def picture_size(request: Request) -> int:
    """The size in the query."""
    return parameters.whole(request, "size", SIZE, drawing.LEAST_SIZE, drawing.MOST_SIZE)


async def _change(
    gateway: Gateway, study: study_pb2.Study, target: int, stimulus: NDArray[Any]
) -> dict[str, Any] | None:
    """The number of the changed input, and the size of the change; None without inputs."""
    if PARAMETER not in study.spec.generator.inputs:
        return None
    row, clean = await gateway.inputs.of(study, target)
    return {"input": row} | norms(changed(clean, stimulus))


def _none(target: int, generation: int | None) -> NotFound:
    when = "yet" if generation is None else f"after generation {generation}"
    return NotFound(f"target {target} has no best candidate {when}")


async def exact_best(
    gateway: Gateway, study: study_pb2.Study, target: int, generation: int | None
) -> study_pb2.Best:
    """The best candidate with its exact stimulus, if the study has a generator.

    Raises:
        NotFound: if there is none (yet).
    """
    asked = pb.GetBestRequest(
        name=study.name,
        with_stimuli=study.spec.HasField("generator"),
        stimulus_dtype=tensor_pb2.DTYPE_FLOAT32,
        targets=[target],
        generation=generation,
    )
    answer = await gateway.upstream.call(gateway.upstream.studies.GetBest, asked)
    if not answer.best:
        raise _none(target, generation)
    found: study_pb2.Best = answer.best[0]
    return found


def _activations(study: study_pb2.Study, best: study_pb2.Best) -> dict[str, float] | None:
    """What was measured of the candidate, by quantity; None if the server does not say."""
    if not best.HasField("values"):
        return None
    names: dict[str, None] = {}
    _read(study.spec.targets[best.target], names)
    criteria = study.spec.criteria
    if criteria:
        _read(criteria[best.target if len(criteria) > 1 else 0], names)
    values = tensors.from_proto(best.values).tolist()
    return dict(zip(names, values, strict=False))


def _read(node: Any, names: dict[str, None]) -> None:
    """Adds the quantities that a tree of objectives or criteria reads, in its order."""
    for quantity in node.quantities:
        names.setdefault(quantity)
    for term in node.terms:
        _read(term, names)
