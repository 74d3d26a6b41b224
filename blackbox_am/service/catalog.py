"""CatalogService: the contents of this server, for callers that create studies."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from functools import partial
from typing import TypeVar

import numpy as np
from google.protobuf.message import Message
from numpy.typing import NDArray

from blackbox_am import plugins
from blackbox_am.catalogue import listing
from blackbox_am.core.spec import MAX_TARGETS
from blackbox_am.core.types import LayerInfo
from blackbox_am.core.units import Unit, find_layer
from blackbox_am.evaluation.rendering import (
    MAX_SAMPLES,
    ROWS,
    batches,
    block_bytes,
    checked,
    checked_targets,
    samples,
)
from blackbox_am.rpc import api, chunks, listings, pages, tensors, times
from blackbox_am.service.asking import LONGEST_LEASE_SECONDS
from blackbox_am.service.backend import Backend, Pool
from blackbox_am.service.calls import streaming, unary, unary_model, unary_remote
from blackbox_am.service.creating import SEED_BITS
from blackbox_am.service.oracles import observe
from blackbox_am.service.stimuli import as_dtype, check_stimulus_dtype
from blackbox_am.service.top_images import TopImages
from blackbox_am.v1 import catalog_service_pb2 as pb
from blackbox_am.v1.catalog_service_pb2_grpc import CatalogServiceServicer
from blackbox_am.version import __version__

PAGE = 100
PAGE_OF_UNITS = 1000
PROBE_ROWS = 8
PROBE_UNITS = 16
COPIES = 3
"""Copies of a block that are in memory while the block is computed and sent."""

M = TypeVar("M", bound=Message)


class CatalogService(CatalogServiceServicer):
    """Lists plug-ins, oracles, generators and units, and tests them."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._top_images = TopImages(backend)

    @unary
    def GetServerInfo(  # noqa: N802
        self,
        request: pb.GetServerInfoRequest,  # noqa: ARG002
    ) -> pb.GetServerInfoResponse:
        return pb.GetServerInfoResponse(
            version=__version__,
            api_version=api.VERSION,
            device=self.backend.device,
            features=api.FEATURES,
            min_keepalive_interval=times.duration_to_proto(
                api.MIN_KEEPALIVE_SECONDS, "min_keepalive_interval"
            ),
            limits=pb.ServerLimits(
                max_message_bytes=self.backend.config.max_message_bytes,
                max_stream_bytes=chunks.MAX_STREAM_BYTES,
                max_page_size=pages.MAX_PAGE_SIZE,
                max_targets=MAX_TARGETS,
                max_samples=MAX_SAMPLES,
                max_lease_duration=times.duration_to_proto(
                    LONGEST_LEASE_SECONDS, "max_lease_duration"
                ),
            ),
        )

    @unary_model
    def ListOptimizers(  # noqa: N802
        self, request: pb.ListOptimizersRequest
    ) -> pb.ListOptimizersResponse:
        page, token = _page(
            request,
            plugins.optimizers.names(),
            lambda name: listings.optimizer_to_proto(listing.optimizer(name)),
        )
        return pb.ListOptimizersResponse(optimizers=page, next_page_token=token)

    @unary_model
    def ListObjectives(  # noqa: N802
        self, request: pb.ListObjectivesRequest
    ) -> pb.ListObjectivesResponse:
        page, token = _page(
            request,
            listing.objective_names(),
            lambda name: listings.plug_in_to_proto(listing.objective(name)),
        )
        return pb.ListObjectivesResponse(objectives=page, next_page_token=token)

    @unary_model
    def ListCriteria(  # noqa: N802
        self, request: pb.ListCriteriaRequest
    ) -> pb.ListCriteriaResponse:
        page, token = _page(
            request,
            listing.criterion_names(),
            lambda name: listings.plug_in_to_proto(listing.criterion(name)),
        )
        return pb.ListCriteriaResponse(criteria=page, next_page_token=token)

    @unary_model
    def ListTransforms(  # noqa: N802
        self, request: pb.ListTransformsRequest
    ) -> pb.ListTransformsResponse:
        page, token = _page(
            request,
            plugins.transforms.names(),
            lambda name: listings.plug_in_to_proto(listing.transform(name)),
        )
        return pb.ListTransformsResponse(transforms=page, next_page_token=token)

    @unary_model
    def ListMeasures(  # noqa: N802
        self, request: pb.ListMeasuresRequest
    ) -> pb.ListMeasuresResponse:
        page, token = _page(
            request,
            plugins.measures.names(),
            lambda name: listings.measure_to_proto(listing.measure(name)),
        )
        return pb.ListMeasuresResponse(measures=page, next_page_token=token)

    @unary_model
    def ListGenerators(  # noqa: N802
        self, request: pb.ListGeneratorsRequest
    ) -> pb.ListGeneratorsResponse:
        catalogue = self.backend.config.catalogue
        page, token = _page(
            request,
            catalogue.generator_names(),
            lambda name: listings.generator_to_proto(listing.generator(name, catalogue.generator)),
        )
        return pb.ListGeneratorsResponse(generators=page, next_page_token=token)

    @unary_remote
    def ListOracles(self, request: pb.ListOraclesRequest) -> pb.ListOraclesResponse:  # noqa: N802
        page, token = _page(
            request,
            self.backend.config.catalogue.oracle_names(),
            lambda name: listings.oracle_to_proto(listing.oracle(name, self.backend.oracle)),
        )
        return pb.ListOraclesResponse(oracles=page, next_page_token=token)

    @unary_remote
    def ListUnits(self, request: pb.ListUnitsRequest) -> pb.ListUnitsResponse:  # noqa: N802
        info = self.backend.oracle(request.oracle).describe()
        layers: tuple[LayerInfo, ...] = info.layers
        if request.layer:
            layers = (find_layer(info, Unit(request.layer)),)
        scope = f"units:{request.oracle}:{request.layer}"
        start = int(pages.decode(request.page_token, scope, 0))
        size = pages.page_size(request.page_size, PAGE_OF_UNITS)
        total = sum(layer.units for layer in layers)
        end = min(start + size, total)
        return pb.ListUnitsResponse(
            units=_addresses(layers, start, end),
            next_page_token=pages.encode(end, scope) if end < total else "",
        )

    @unary_remote
    def ProbeOracle(self, request: pb.ProbeOracleRequest) -> pb.ProbeOracleResponse:  # noqa: N802
        oracle = self.backend.oracle(request.oracle)
        info = oracle.describe()
        units = list(request.units) or _addresses(info.layers[-1:], 0, PROBE_UNITS)
        random = np.random.default_rng(0)
        stimuli = random.random((PROBE_ROWS, *info.stimulus_shape), np.float32)
        quotas = self.backend.authority.quotas
        first = observe(oracle, stimuli, units, lambda rows: quotas.rows(2 * rows))  # both calls
        started = time.perf_counter()
        second = observe(oracle, stimuli, units)
        seconds = time.perf_counter() - started
        differences = np.abs(first - second)[np.isfinite(first) & np.isfinite(second)]
        return pb.ProbeOracleResponse(
            finite=bool(np.isfinite(first).all() and np.isfinite(second).all()),
            repeat_difference=float(differences.max(initial=0.0)),
            activations=tensors.to_proto(first),
            rows_per_second=PROBE_ROWS / max(seconds, 1e-9),
        )

    @unary_remote
    def GetTopImages(self, request: pb.GetTopImagesRequest) -> pb.GetTopImagesResponse:  # noqa: N802
        return self._top_images.answer(request)

    @streaming
    async def Sample(  # noqa: N802
        self, request: pb.SampleRequest
    ) -> AsyncGenerator[pb.SampleResponse, None]:
        seed = request.seed if request.HasField("seed") else secrets.randbits(SEED_BITS)

        space = (
            await self.backend.in_thread(
                partial(self.backend.config.catalogue.generator, request.generator)
            )
        ).space
        drawn = samples(space, request.count, seed)
        announced = tensors.header(
            "float32" if space.dtype is None else "int64", (request.count, space.dim)
        )
        yield pb.SampleResponse(header=pb.SampleHeader(latents=announced, seed=seed))
        start, total = 0, tensors.size_of(announced)
        with (
            self.backend.authority.quotas.rows(request.count, queries=False),
            self.backend.memory.holding(
                COPIES * block_bytes(space, request.count), "a block of samples"
            ),
        ):
            while start < total:
                data = (await self.backend.in_thread(partial(next, drawn))).tobytes()
                for chunk in chunks.split(data, start=start, total=total):
                    yield pb.SampleResponse(chunk=chunk)
                start += len(data)

    @streaming
    async def Render(  # noqa: N802
        self, request: pb.RenderRequest
    ) -> AsyncGenerator[pb.RenderResponse, None]:
        dtype = check_stimulus_dtype(request.stimulus_dtype)

        def prepared() -> tuple[tuple[int, ...], Iterator[NDArray[np.float32]]]:
            generator = self.backend.generator(request.generator)
            latents = checked(generator, tensors.from_proto(request.latents, field="latents"))
            targets = checked_targets(generator, request.targets, len(latents))
            shape = (len(latents), *generator.stimulus_shape)
            return shape, batches(generator, latents, targets)

        shape, rendered = await self.backend.in_thread(prepared, Pool.MODELS)
        announced = tensors.header(dtype, shape)
        yield pb.RenderResponse(header=pb.RenderHeader(stimuli=announced))
        start, total = 0, tensors.size_of(announced)
        block = COPIES * 4 * min(ROWS, shape[0]) * math.prod(shape[1:])
        with (
            self.backend.authority.quotas.rows(shape[0], queries=False),
            self.backend.memory.holding(block, "a block of rendered stimuli"),
        ):
            while start < total:
                stimuli = await self.backend.in_thread(partial(next, rendered), Pool.MODELS)
                data = as_dtype(stimuli, dtype).tobytes()
                for chunk in chunks.split(data, start=start, total=total):
                    yield pb.RenderResponse(chunk=chunk)
                start += len(data)


def _page(
    request: pb.ListOptimizersRequest
    | pb.ListObjectivesRequest
    | pb.ListCriteriaRequest
    | pb.ListTransformsRequest
    | pb.ListMeasuresRequest
    | pb.ListGeneratorsRequest
    | pb.ListOraclesRequest,
    names: list[str],
    describe: Callable[[str], M],
) -> tuple[list[M], str]:
    scope = type(request).__name__
    after = str(pages.decode(request.page_token, scope, ""))

    def entries() -> Iterator[tuple[str, M]]:
        for name in names:
            if name > after:
                yield name, describe(name)

    return pages.fill(entries(), pages.page_size(request.page_size, PAGE), scope)


def _addresses(layers: tuple[LayerInfo, ...], start: int, end: int) -> list[str]:
    """Addresses of the units `start` to `end`, counted over all `layers`."""
    found, first = [], 0
    for layer in layers:
        low, high = max(start - first, 0), min(end - first, layer.units)
        found += [str(Unit(layer.name, index)) for index in range(low, high)]
        first += layer.units
    return found
