"""A client of a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blackbox_am.client import listings, rendering
from blackbox_am.client.connection import SEND_BYTES, Connection
from blackbox_am.client.study import Study
from blackbox_am.core.spec import (
    CriterionSpec,
    GeneratorSpec,
    ObjectiveSpec,
    SpaceSpec,
    StudySpec,
    from_plain,
    objective,
    start_spec,
    to_plain,
)
from blackbox_am.core.types import StudyProgress, StudyState
from blackbox_am.rpc import names, pages, progress, specs, tensors
from blackbox_am.rpc.api import check_version
from blackbox_am.v1 import catalog_service_pb2 as catalog_pb
from blackbox_am.v1 import oracle_service_pb2 as oracle_pb
from blackbox_am.v1 import study_pb2
from blackbox_am.v1 import study_service_pb2 as pb


def connect(
    target: str = "localhost:50051", *, timeout: float = 30.0, client_id: str | None = None
) -> Client:
    """A client of the server at `target`, which must be running.

    Args:
        target: address of the server, `host:port`.
        timeout: seconds; time limit of each call.
        client_id: name of this client for leases, such as `rig-2`; no other client may have it at
            the same time. A client that restarts under the same name gets its own leased candidates
            back at once. If None, a name that no other process of this machine's user has; empty
            for an anonymous client.

    Raises:
        ServerUnavailable: if no server answers at this address.
        Unsupported: if the server has another version of the API.
    """
    client = Client(Connection(target, timeout, client_id))
    try:
        check_version(client.server_info().api_version, target)
    except BaseException:
        client.close()
        raise
    return client


class Client:
    """A connection to a server, created by `connect`. Safe to use from any thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. Studies on the server continue."""
        self._connection.close()

    # Studies

    def create(
        self,
        *,
        targets: Sequence[str | ObjectiveSpec],
        generator: str | GeneratorSpec | None = None,
        space: SpaceSpec | None = None,
        oracle: str | None = None,
        criteria: Sequence[CriterionSpec] = (),
        optimizer: str = "auto",
        parameters: dict[str, Any] | None = None,
        queries_per_target: int = 1000,
        seconds: float | None = None,
        target_score: float | None = None,
        patience: int | None = None,
        seed: int | None = None,
        start: str | NDArray[Any] | None = None,
        study_id: str | None = None,
        labels: dict[str, str] | None = None,
        keep_latents: str = "best",
        validate_only: bool = False,
        adopt: bool = False,
    ) -> Study:
        """Creates a study. The same call again with a `study_id` returns the study that is there.

        Args:
            targets: what to maximise: a unit's address (`conv4:7`) or an objective, each
                one search of its own, all in lock-step.
            generator: the registered generator whose latents are searched, by its name or with
                parameters of the study's own, or ...
            space: ... a bare space, whose points clients evaluate.
            oracle: the registered oracle that measures; None where clients do.
            criteria: when a target has succeeded: none, one for all targets, or one a target.
            optimizer: a registered optimizer; `auto` chooses by space, budget and noise.
            parameters: of the optimizer, the rest at its defaults.
            queries_per_target: rows measured for each target at most.
            seconds: time spent searching at most.
            target_score: a target is finished once its best score reaches this.
            patience: a target is finished after so many generations without a better score.
            seed: fixes every random number; the server draws one where None, see `Study.spec`.
            start: where to begin: the id of a study that has found something, or latents (K, D)
                or (D,); the prior where None.
            study_id: a small letter, then small letters, digits, hyphens; 63 at most. The
                server picks one where None.
            labels: free key-value pairs.
            keep_latents: what the journal keeps: `best` of each target, or `all`.
            validate_only: check, and create nothing; the study returned has no id.
            adopt: go on with the model and generator that the server has now, where the study is
                there and was created with others.

        Raises:
            InvalidInput: for a specification that cannot work, naming the field.
            Unsupported: for an optimizer that cannot search this, or climb this oracle.
            NotFound: for a generator or oracle that the server does not have.
            StudyExists: where `study_id` is a study with another specification.
        """
        budget = {
            "queries_per_target": queries_per_target,
            "seconds": seconds,
            "target_score": target_score,
            "patience": patience,
        }
        spec = from_plain(
            StudySpec,
            {
                "targets": [to_plain(objective(target)) for target in targets],
                "generator": to_plain(generator),
                "space": to_plain(space),
                "oracle": oracle,
                "criteria": to_plain(criteria),
                "optimizer": {"name": optimizer, "parameters": parameters or {}},
                "budget": budget,
                "seed": seed or 0,
                "start": to_plain(start_spec(start)),
                "labels": labels or {},
                "keep_latents": keep_latents,
            },
        )
        message = specs.study_to_proto(spec)
        if seed is None:
            message.ClearField("seed")
        return self._create(message, study_id, "", validate_only, adopt)

    def create_from(
        self,
        spec: StudySpec,
        *,
        study_id: str | None = None,
        request_id: str = "",
        validate_only: bool = False,
        adopt: bool = False,
    ) -> Study:
        """Creates the study that `spec` describes.

        Args:
            spec: what to search for.
            study_id: its id; the server picks one where None.
            request_id: repeating a call with this id has no further effect.
            validate_only: check, and create nothing; the study returned has no id.
            adopt: as for `create`.

        Raises:
            BlackboxError: as `create`.
        """
        message = specs.study_to_proto(spec)
        return self._create(message, study_id, request_id, validate_only, adopt)

    def _create(
        self,
        spec: study_pb2.StudySpec,
        study_id: str | None,
        request_id: str,
        validate_only: bool,
        adopt: bool,
    ) -> Study:
        request = pb.CreateStudyRequest(
            spec=spec,
            study_id=study_id or "",
            request_id=request_id,
            validate_only=validate_only,
            adopt=adopt,
        )
        message = self._connection.call(self._connection.studies.CreateStudy, request).study
        return Study(self._connection, names.study_id(message.name) if message.name else "")

    def study(self, study_id: str) -> Study:
        """The study of this id.

        Raises:
            NotFound: if the study does not exist.
        """
        study = Study(self._connection, names.check_study_id(study_id))
        study.progress()
        return study

    def studies(
        self, states: Sequence[StudyState] = (), *, labels: Mapping[str, str] | None = None
    ) -> list[StudyProgress]:
        """The progress of each study, by id.

        Args:
            states: only studies in one of these states; all if empty.
            labels: only studies with all of these labels.
        """
        numbers = [progress.state_to_proto(state) for state in states]

        def fetch(token: str) -> Any:
            answer = self._connection.call(
                self._connection.studies.ListStudies,
                pb.ListStudiesRequest(
                    page_size=1000,
                    page_token=token,
                    states=numbers,
                    labels=labels,
                    view=study_pb2.STUDY_VIEW_FULL,
                ),
            )
            return answer.studies, answer.next_page_token

        return [progress.progress_from_proto(message) for message in pages.walk(fetch)]

    # Catalogue

    def server_info(self) -> listings.ServerInfo:
        """Versions, device, features and limits of the server."""
        answer = self._connection.call(
            self._connection.catalog.GetServerInfo, catalog_pb.GetServerInfoRequest()
        )
        return listings.server(answer)

    def oracles(self) -> list[listings.OracleListing]:
        """The oracles of the server."""
        stub = self._connection.catalog.ListOracles
        return [
            listings.oracle(message)
            for message in self._list(stub, catalog_pb.ListOraclesRequest, "oracles")
        ]

    def generators(self) -> list[listings.GeneratorListing]:
        """The generators of the server."""
        stub = self._connection.catalog.ListGenerators
        return [
            listings.generator(message)
            for message in self._list(stub, catalog_pb.ListGeneratorsRequest, "generators")
        ]

    def optimizers(self) -> list[listings.OptimizerListing]:
        """The optimizers of the server, with their parameters."""
        stub = self._connection.catalog.ListOptimizers
        return [
            listings.optimizer(message)
            for message in self._list(stub, catalog_pb.ListOptimizersRequest, "optimizers")
        ]

    def objectives(self) -> list[listings.PlugInListing]:
        """The objectives of the server, with their parameters."""
        stub = self._connection.catalog.ListObjectives
        return [
            listings.plug_in(message)
            for message in self._list(stub, catalog_pb.ListObjectivesRequest, "objectives")
        ]

    def units(self, oracle: str, layer: str | None = None) -> list[str]:
        """Addresses of an oracle's units, layer by layer; of one layer if given.

        Raises:
            NotFound: if the oracle is unknown.
            UnknownUnit: if the layer is unknown.
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

    def probe(self, oracle: str, units: Sequence[str] = ()) -> listings.Probe:
        """Test an oracle with a few stimuli: whether it answers, with finite and repeatable
        numbers.

        Args:
            oracle: a registered oracle.
            units: units to read; some units of the last layer if empty.

        Raises:
            OracleError: if the oracle fails.
        """
        answer = self._connection.call(
            self._connection.catalog.ProbeOracle,
            catalog_pb.ProbeOracleRequest(oracle=oracle, units=units),
        )
        return listings.Probe(
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
            NotFound: if the oracle is unknown.
            UnknownUnit: if a unit does not exist.
            ShapeMismatch: if the stimuli have another shape.
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

    def sample(self, generator: str, n: int, *, seed: int = 0) -> NDArray[Any]:
        """Latents (n, D) from a generator's prior: float32, or int64 codes.

        Args:
            generator: name of the generator.
            n: number of latents, up to 65,536.
            seed: the same seed gives the same latents.

        Raises:
            NotFound: if the generator is unknown.
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
        """Stimuli (N, *stimulus) that a registered generator makes of latents.

        Args:
            generator: its name.
            latents: (N, D).
            targets: of a generator that tells targets apart, such as `perturbation` around
                several inputs, the target of each row: (N,) numbers from 0, or one for all
                rows; the first where None. Of a study's candidates: `Best.target`.
            dtype: `uint8` (0..255) or `float32` (0..1).
            on_rows: called with how many stimuli have come, as they come.

        Raises:
            NotFound: for an unknown generator.
            ShapeMismatch: for latents of another shape.
            InvalidInput: for targets that the generator does not have, or of another number.
        """
        return rendering.render(self._connection, generator, latents, targets, dtype, on_rows)

    def _list(self, method: Any, request_type: Any, field: str) -> Iterator[Any]:
        def fetch(token: str) -> Any:
            answer = self._connection.call(method, request_type(page_token=token))
            return getattr(answer, field), answer.next_page_token

        return pages.walk(fetch)
