"""A client of a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blackbox_am.client import artifacts
from blackbox_am.client.baselines import Baseline, baseline_spec
from blackbox_am.client.catalog import Catalog
from blackbox_am.client.connection import Connection
from blackbox_am.client.group import Group, GroupProgress
from blackbox_am.client.group import from_message as group_from_message
from blackbox_am.client.specs import study_message
from blackbox_am.client.study import Study
from blackbox_am.core.addresses import with_port
from blackbox_am.core.certificates import Tls
from blackbox_am.core.ids import check_group_id, check_study_id
from blackbox_am.core.spec import (
    CriterionSpec,
    GeneratorSpec,
    ObjectiveSpec,
    SpaceSpec,
    StudySpec,
)
from blackbox_am.core.tensors import npy_of
from blackbox_am.core.transform_spec import TransformSpec, TransformsSpec
from blackbox_am.core.types import StudyProgress, StudyState
from blackbox_am.errors import BlackboxError
from blackbox_am.rpc import names, pages, progress, specs
from blackbox_am.rpc.api import check_version
from blackbox_am.rpc.channels import tls_of
from blackbox_am.v1 import group_service_pb2 as group_pb
from blackbox_am.v1 import study_pb2
from blackbox_am.v1 import study_service_pb2 as pb


def connect(
    target: str = "localhost:50051",
    *,
    token: str | None = None,
    tls: bool | str | Path | Tls = False,
    timeout: float = 30.0,
    client_id: str | None = None,
    wait: float = 2.0,
) -> Client:
    """A client of the server at `target`, which must be running.

    Args:
        target: address of the server, `host:port`; without a port, port 50051.
        token: the secret that says who calls, as `blackbox-am token create` printed it; None for a
            server without tokens. Without TLS it is sent to this machine only.
        tls: whether the connection is encrypted: True trusts the public authorities, a file the
            authorities in it (PEM), and `Tls` also has this client's own certificate.
        timeout: seconds; time limit of each call.
        client_id: name of this client for leases, such as `rig-2`; no other client may have it at
            the same time. A client that restarts under the same name gets its own leased candidates
            back at once. If None, a name that no other process of this machine's user has; empty
            for an anonymous client.
        wait: seconds; how long to try to reach a server that does not listen yet.

    Raises:
        ServerUnavailable: if no server answers at this address, or not with this encryption.
        Unauthenticated: if the server wants a token, or does not know this one.
        InvalidInput: for a token that cannot be sent safely, and for files that are not
            certificates.
        Unsupported: if the server has another version of the API.
    """
    target = with_port(target)
    connection = Connection(target, timeout, client_id, token=token, tls=tls_of(tls))
    client = Client(connection)
    try:
        connection.reach(min(wait, timeout))
        check_version(client.server_info().api_version, target)
    except BlackboxError as error:
        client.close()
        raise error.with_traceback(None) from None  # what gRPC says of it stands in the message
    except BaseException:
        client.close()
        raise
    return client


class Client(Catalog):
    """A connection to a server. Safe to use from any thread. Made by `connect`.

    A client, and the handles that it returns, can be pickled, for other processes. The copy
    connects again, under a name of its own for leases. A pickle has the address and the names of
    the files of certificates, but never a token: the process that unpickles has it in its
    environment variable BLACKBOX_AM_TOKEN.
    """

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
        penalties: Mapping[str, float] | None = None,
        criteria: Sequence[CriterionSpec] = (),
        optimizer: str = "auto",
        parameters: dict[str, Any] | None = None,
        queries_per_target: int = 1000,
        seconds: float | None = None,
        target_score: float | None = None,
        patience: int | None = None,
        seed: int | None = None,
        start: str | NDArray[Any] | None = None,
        baseline: Baseline = None,
        transforms: TransformsSpec | Sequence[str | TransformSpec] | None = None,
        copies: int | None = None,
        recheck_fraction: float | None = None,
        study_id: str | None = None,
        labels: dict[str, str] | None = None,
        keep_latents: str = "best",
        validate_only: bool = False,
        adopt: bool = False,
    ) -> Study:
        """Creates a study. A repeated call with the same `study_id` returns the existing study.

        Args:
            targets: the objectives to maximise: units' addresses (`conv4:7`) or objectives. Each
                target is a separate search; all searches advance together.
            generator: the registered generator whose latents are searched, by its name or with the
                study's own parameters, or ...
            space: ... a bare space, whose points clients evaluate.
            oracle: the registered oracle that measures; None if clients measure.
            penalties: measures of the stimulus to subtract from every target, and their weights:
                ``{"stimulus.tv": 0.05}``.
            criteria: criteria of success: none, one for all targets, or one for each target.
            optimizer: a registered optimizer; `auto` chooses by space, budget and noise.
            parameters: of the optimizer; other parameters have their defaults.
            queries_per_target: largest number of rows measured for each target.
            seconds: longest duration of the search.
            target_score: a target is finished when its best score reaches this score.
            patience: a target is finished after this number of generations without a better score.
            seed: determines every random number; the server draws a seed if None, see `Study.spec`.
            start: the start of the search: the id of a study with best latents, or latents (K, D)
                or (D,); the prior if None.
            baseline: natural images that the oracle observes first: a set of the server by its name
                such as `shipped`, a folder of images on this machine, an array of images
                (N, channels, height, width) or stimuli (N, *stimulus), or a `BaselineSpec`.
            transforms: random transformations under which the oracle sees each stimulus: names or
                `TransformSpec`, in the order of their application, or a `TransformsSpec`.
            copies: number of transformed copies of each stimulus; 8 if None.
            recheck_fraction: fraction of `queries_per_target` that measures the best candidates
                again at the end; None is 0.1 on a noisy oracle, else 0.
            study_id: a small letter, then small letters, digits, hyphens; 63 at most. The
                server chooses one if None.
            labels: free key-value pairs.
            keep_latents: latents that the journal keeps: the `best` of each target, or `all`.
            validate_only: check, and create nothing; the study returned has no id.
            adopt: if the study exists and was created with another model or generator, continue it
                with the server's present ones.

        Raises:
            InvalidInput: for an invalid specification. The error names the field.
            Unsupported: for an optimizer that cannot search this space, or needs gradients that the
                oracle lacks.
            NotFound: for a generator or oracle that the server does not have.
            StudyExists: if `study_id` is a study with another specification.
        """
        message = study_message(
            targets=targets,
            generator=generator,
            space=space,
            oracle=oracle,
            penalties=penalties,
            criteria=criteria,
            optimizer=optimizer,
            parameters=parameters,
            queries_per_target=queries_per_target,
            seconds=seconds,
            target_score=target_score,
            patience=patience,
            seed=seed,
            start=start,
            baseline=baseline_spec(self._connection, baseline, oracle),
            transforms=transforms,
            copies=copies,
            recheck_fraction=recheck_fraction,
            labels=labels,
            keep_latents=keep_latents,
        )
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
            study_id: its id; the server chooses one if None.
            request_id: repeating a call with this id has no further effect.
            validate_only: check, and create nothing; the study returned has no id.
            adopt: as for `create`.

        Raises:
            BlackboxError: as `create`.
        """
        message = specs.study_to_proto(spec)
        return self._create(message, study_id, request_id, validate_only, adopt)

    def preview(self, spec: StudySpec) -> int:
        """Checks the study that `spec` describes, and creates nothing.

        Returns:
            The number of candidates of each target in a generation.

        Raises:
            BlackboxError: as `create`.
        """
        request = pb.CreateStudyRequest(spec=specs.study_to_proto(spec), validate_only=True)
        answer = self._connection.call(self._connection.studies.CreateStudy, request)
        return int(answer.study.population)

    def fingerprints(self, spec: StudySpec) -> tuple[str, str]:
        """The present fingerprints of the oracle and of the generator that `spec` names: 32
        hexadecimal digits each; empty for a model that clients evaluate.

        Raises:
            BlackboxError: as `create`.
        """
        request = pb.CreateStudyRequest(spec=specs.study_to_proto(spec), validate_only=True)
        study = self._connection.call(self._connection.studies.CreateStudy, request).study
        return study.oracle_fingerprint, study.generator_fingerprint

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
        """The study with this id.

        Raises:
            NotFound: if the study does not exist.
        """
        study = Study(self._connection, check_study_id(study_id))
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

    # Groups of studies

    def create_group(
        self,
        members: Mapping[str, StudySpec | Mapping[str, Any]],
        *,
        group_id: str | None = None,
        labels: dict[str, str] | None = None,
        validate_only: bool = False,
    ) -> Group:
        """Creates a group of studies that belong together: either all studies or none are created.

        A repeated call with the same `group_id` returns the existing group.

        Args:
            members: for each study a name of 1 to 30 small letters, digits and hyphens, and the
                arguments of `create` as a dictionary, or a specification. Members without a seed
                get the same random seed.
            group_id: a small letter, then small letters, digits, hyphens; 32 at most. The server
                chooses one if None. The id of a member's study is `{group_id}-{name}`.
            labels: free key-value pairs.
            validate_only: check, and create nothing; the group returned has no id.

        Raises:
            BlackboxError: as `create`; the field names the member.
            StudyExists: if the group, or the study of a member, exists with another specification.
        """
        entries = [
            group_pb.GroupMemberSpec(
                name=name,
                spec=specs.study_to_proto(member)
                if isinstance(member, StudySpec)
                else study_message(**member),
            )
            for name, member in members.items()
        ]
        request = group_pb.CreateGroupRequest(
            spec=group_pb.GroupSpec(members=entries, labels=labels),
            group_id=group_id or "",
            validate_only=validate_only,
        )
        message = self._connection.call(self._connection.groups.CreateGroup, request).group
        return Group(self._connection, names.group_id(message.name) if message.name else "")

    def group(self, group_id: str) -> Group:
        """The group with this id.

        Raises:
            NotFound: if the group does not exist.
        """
        found = Group(self._connection, check_group_id(group_id))
        found.progress()
        return found

    def groups(self, *, labels: Mapping[str, str] | None = None) -> list[GroupProgress]:
        """The progress of each group, by id; only groups with all of `labels`."""

        def fetch(token: str) -> Any:
            request = group_pb.ListGroupsRequest(page_token=token, labels=labels)
            answer = self._connection.call(self._connection.groups.ListGroups, request)
            return answer.groups, answer.next_page_token

        return [group_from_message(message) for message in pages.walk(fetch)]

    # Large values

    def write_artifact(self, data: bytes) -> str:
        """Stores bytes on the server. Returns their digest; equal bytes have equal digests."""
        return artifacts.write(self._connection, data)

    def write_array(self, array: ArrayLike) -> str:
        """Stores an array for studies. Returns its digest, for `GeneratorSpec.inputs`.

        Raises:
            ValueError: for an array of objects.
        """
        return artifacts.write(self._connection, npy_of(np.asarray(array)))

    def read_artifact(self, digest: str) -> bytes:
        """The bytes with this digest.

        Raises:
            NotFound: if the server does not have these bytes.
        """
        return artifacts.read(self._connection, digest)
