"""The catalogue of a server, and calls of its oracles and generators with the caller's data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blackbox_am.client import rendering
from blackbox_am.client.connection import SEND_BYTES, Connection
from blackbox_am.client.server_info import Probe, ServerInfo, TopImage, server
from blackbox_am.core.listings import (
    GeneratorListing,
    MeasureListing,
    OptimizerListing,
    OracleListing,
    PlugInListing,
)
from blackbox_am.core.types import OracleInfo
from blackbox_am.errors import NotFound, OracleFailed, did_you_mean
from blackbox_am.rpc import listings, pages, tensors
from blackbox_am.v1 import catalog_service_pb2 as catalog_pb
from blackbox_am.v1 import oracle_service_pb2 as oracle_pb


class Catalog:
    """The catalogue of a server: the part of `Client` that is independent of studies."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def server_info(self) -> ServerInfo:
        """Versions, device, features and limits of the server."""
        answer = self._connection.call(
            self._connection.catalog.GetServerInfo, catalog_pb.GetServerInfoRequest()
        )
        return server(answer)

    def oracles(self) -> list[OracleListing]:
        """The oracles that the server has."""
        stub = self._connection.catalog.ListOracles
        return [
            listings.oracle_from_proto(message)
            for message in self._list(stub, catalog_pb.ListOraclesRequest, "oracles")
        ]

    def oracle_info(self, name: str) -> OracleInfo:
        """The description of the server's oracle `name`.

        Raises:
            NotFound: if the server has no such oracle.
            OracleFailed: if the oracle cannot be used; the message says why.
        """
        listed = {one.name: one for one in self.oracles()}
        if name not in listed:
            raise NotFound(
                f"the server has no oracle {name!r}{did_you_mean(name, listed)}", field="oracle"
            )
        info = listed[name].info
        if info is None:
            raise OracleFailed(f"the oracle {name!r} cannot be used: {listed[name].problem}")
        return info

    def generators(self) -> list[GeneratorListing]:
        """The generators that the server has."""
        stub = self._connection.catalog.ListGenerators
        return [
            listings.generator_from_proto(message)
            for message in self._list(stub, catalog_pb.ListGeneratorsRequest, "generators")
        ]

    def optimizers(self) -> list[OptimizerListing]:
        """The optimizers that the server has, with their parameters."""
        stub = self._connection.catalog.ListOptimizers
        return [
            listings.optimizer_from_proto(message)
            for message in self._list(stub, catalog_pb.ListOptimizersRequest, "optimizers")
        ]

    def objectives(self) -> list[PlugInListing]:
        """The objectives that the server has, with their parameters."""
        stub = self._connection.catalog.ListObjectives
        return [
            listings.plug_in_from_proto(message)
            for message in self._list(stub, catalog_pb.ListObjectivesRequest, "objectives")
        ]

    def criteria(self) -> list[PlugInListing]:
        """The criteria that the server has, with their parameters."""
        stub = self._connection.catalog.ListCriteria
        return [
            listings.plug_in_from_proto(message)
            for message in self._list(stub, catalog_pb.ListCriteriaRequest, "criteria")
        ]

    def transforms(self) -> list[PlugInListing]:
        """The random transformations that the server has, with their parameters."""
        stub = self._connection.catalog.ListTransforms
        return [
            listings.plug_in_from_proto(message)
            for message in self._list(stub, catalog_pb.ListTransformsRequest, "transforms")
        ]

    def measures(self) -> list[MeasureListing]:
        """The measures of the stimulus that the server has."""
        stub = self._connection.catalog.ListMeasures
        return [
            listings.measure_from_proto(message)
            for message in self._list(stub, catalog_pb.ListMeasuresRequest, "measures")
        ]

    def units(self, oracle: str, layer: str | None = None) -> list[str]:
        """Addresses of an oracle's units, layer by layer, or of one given layer.

        Raises:
            NotFound: for an unknown oracle.
            UnknownUnit: for an unknown layer.
        """
        stub = self._connection.catalog.ListUnits

        def fetch(token: str) -> Any:
            answer = self._connection.call(
                stub,
                catalog_pb.ListUnitsRequest(
                    oracle=oracle, layer=layer or "", page_size=1000, page_token=token
                ),
            )
            return answer.units, answer.next_page_token

        return list(pages.walk(fetch))

    def probe(self, oracle: str, units: Sequence[str] = ()) -> Probe:
        """Tests an oracle with a few stimuli: whether it works, and is finite and repeatable.

        Args:
            oracle: a registered oracle.
            units: the units to read; some units of its last layer if empty.

        Raises:
            OracleError: if the oracle cannot answer.
        """
        answer = self._connection.call(
            self._connection.catalog.ProbeOracle,
            catalog_pb.ProbeOracleRequest(oracle=oracle, units=units),
        )
        return Probe(
            answer.finite,
            answer.repeat_difference,
            tensors.from_proto(answer.activations, field="activations").copy(),
            answer.rows_per_second,
        )

    def observe(self, oracle: str, stimuli: ArrayLike, units: Sequence[str]) -> NDArray[np.float32]:
        """Activations (N, U) of an oracle's units for given stimuli.

        Args:
            oracle: a registered oracle.
            stimuli: (N, *stimulus), uint8 (0..255) or float (0..1).
            units: unit addresses, U of them.

        Raises:
            NotFound: for an unknown oracle.
            UnknownUnit: for a unit that does not exist.
            ShapeMismatch: for stimuli of another shape.
            OracleError: if the oracle fails.
        """
        array = np.asarray(stimuli)
        if array.dtype != np.uint8:
            array = array.astype(np.float32, copy=False)
        array = np.ascontiguousarray(array)
        step = max(SEND_BYTES // max(array[:1].nbytes, 1), 1)
        pieces = [np.zeros((0, len(units)), np.float32)]
        for start in range(0, len(array), step):
            request = oracle_pb.ObserveRequest(oracle=oracle, units=units)
            rows = array[start : start + step]
            if rows.nbytes > SEND_BYTES:  # one stimulus, and too large for a message
                pieces.append(self._connection.stream(request, rows))
                continue
            request.stimuli.CopyFrom(tensors.to_proto(rows))
            answer = self._connection.call(self._connection.oracles.Observe, request)
            pieces.append(tensors.from_proto(answer.activations, field="activations"))
        return np.concatenate(pieces)

    def top_images(
        self, oracle: str, unit: str, n: int = 9, *, images: str = "shipped", rows: int = 200
    ) -> list[TopImage]:
        """The natural images that excite a unit most, the most exciting first.

        The oracle observes the images once for all units of a layer; the server remembers its
        answers.

        Args:
            oracle: a registered oracle.
            unit: address of a unit.
            n: largest number of images, 1 to 100.
            images: name of a set of images of the server.
            rows: largest number of images to observe, evenly spaced in the set.

        Raises:
            NotFound: for an unknown oracle or set of images.
            UnknownUnit: for a unit that the oracle lacks.
            ShapeMismatch: if the images cannot become stimuli of the oracle.
            OracleError: if the oracle fails.
        """
        request = catalog_pb.GetTopImagesRequest(
            oracle=oracle, unit=unit, images=images, count=n, rows=rows
        )
        answer = self._connection.call(self._connection.catalog.GetTopImages, request)
        return [
            TopImage(
                message.image,
                message.activation,
                tensors.from_proto(message.stimulus, field="stimulus").copy(),
            )
            for message in answer.images
        ]

    def sample(self, generator: str, n: int, *, seed: int = 0) -> NDArray[Any]:
        """Latents (n, D) from a generator's prior: float32, or int64 codes.

        Args:
            generator: its name.
            n: number of latents, up to 65,536.
            seed: determines the latents.

        Raises:
            NotFound: for an unknown generator.
        """
        return rendering.sample(self._connection, generator, n, seed)

    def render(
        self,
        generator: str,
        latents: ArrayLike,
        *,
        targets: ArrayLike | None = None,
        dtype: str = "uint8",
        on_rows: Callable[[int], None] | None = None,
    ) -> NDArray[Any]:
        """Stimuli (N, *stimulus) that a registered generator renders from latents.

        Args:
            generator: its name.
            latents: (N, D).
            targets: for a generator that distinguishes targets, such as `perturbation` around
                several inputs, the target of each row: (N,) numbers from 0, or one number for all
                rows; None is target 0. For the best candidates of a study: `Best.target`.
            dtype: `uint8` (0..255) or `float32` (0..1).
            on_rows: called with the number of received stimuli after each part.

        Raises:
            NotFound: for an unknown generator.
            ShapeMismatch: for latents of another shape.
            InvalidInput: for targets that the generator does not have, or a wrong number of
                targets.
        """
        return rendering.render(self._connection, generator, latents, targets, dtype, on_rows)

    def _list(self, method: Any, request_type: Any, field: str) -> Iterator[Any]:
        def fetch(token: str) -> Any:
            answer = self._connection.call(method, request_type(page_token=token))
            return getattr(answer, field), answer.next_page_token

        return pages.walk(fetch)
