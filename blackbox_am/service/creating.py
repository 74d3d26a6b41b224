"""Creation of studies: a study is checked completely, then created once."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from blackbox_am import plugins
from blackbox_am.core.candidate_ids import MAX_POPULATION
from blackbox_am.core.ids import check_study_id
from blackbox_am.core.spec import Budget, OptimizerSpec, StudySpec
from blackbox_am.errors import InvalidInput, InvalidSpec, NotFound, StoreCorrupt, StudyExists
from blackbox_am.rpc import names, specs
from blackbox_am.rpc.pages import PAGE_BYTES
from blackbox_am.service.auth.ownership import check_existing
from blackbox_am.service.backend import Backend
from blackbox_am.service.fields import of_spec, under
from blackbox_am.service.models import request_of
from blackbox_am.service.views import study_to_proto
from blackbox_am.studies.events import BudgetChanged, Created
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.published import Published
from blackbox_am.studies.resolving import ResolvedStudy, go_on, reopen, resolve
from blackbox_am.studies.study import Study
from blackbox_am.v1 import study_pb2
from blackbox_am.v1 import study_service_pb2 as pb

T = TypeVar("T")

LONGEST_REQUEST_ID = 128
SEED_BITS = 32
"""Bits of a drawn seed, so that every language reads it exactly."""
GROWTH_BYTES = 24
"""Bytes that a target adds to its study's message during the search."""


def create(backend: Backend, request: pb.CreateStudyRequest) -> study_pb2.Study:
    """The requested study: a new study, or the existing study with an equal specification.

    Raises:
        InvalidInput: for an invalid specification or id.
        NotFound: for an oracle, generator or network that is not in the catalogue.
        Unsupported: for an optimizer that cannot search this space, or needs gradients that the
            oracle lacks.
        StudyExists: if a study with this id has another specification, or belongs to another
            caller.
        QuotaExceeded: if the caller may not have another study, or so many queries.
    """
    if request.study_id:
        check_study_id(request.study_id)
    if len(request.request_id) > LONGEST_REQUEST_ID:
        raise InvalidInput(
            f"request_id must have at most {LONGEST_REQUEST_ID} characters, "
            f"got {len(request.request_id)}",
            field="request_id",
        )
    study_id = request.study_id or f"study-{secrets.token_hex(5)}"
    if request.request_id and not request.validate_only:
        study_id = backend.store.remember_request(request.request_id, study_id)
    _existing(backend, study_id, backend.store.find)
    try:
        return _begun(backend, request, study_id)
    except StudyExists:
        if request.spec.HasField("seed"):
            raise
        return _begun(backend, request, study_id)  # created meanwhile, with another seed


def _begun(backend: Backend, request: pb.CreateStudyRequest, study_id: str) -> study_pb2.Study:
    with under("spec"):
        resolved = _checked(backend, _seeded(backend, request.spec, study_id))
        created = resolved.created
        preview = study_to_proto("", Published.of("", Study.begin(created)))
        _check_size(preview, len(created.spec.targets))
        optimizer, targets = resolved.optimizer, len(resolved.targets)
        needed = optimizer.memory_bytes(resolved.space, targets)
        what = f"{optimizer.name} for {targets} targets in {resolved.space.dim} dimensions"
        backend.memory.check_fits(needed, what, "optimizer.name")
    if request.validate_only:
        return preview
    order = backend.authority.quotas.new_study(rows_of(created.spec))
    while not _continued(backend, study_id, resolved, adopt=request.adopt):
        with backend.memory.holding(needed, what):
            if backend.registry.create(study_id, created, order):
                break  # otherwise another caller created it meanwhile
    backend.workers.submit(study_id)
    return view(backend, study_id)


def _continued(backend: Backend, study_id: str, resolved: ResolvedStudy, *, adopt: bool) -> bool:
    """Continues an existing study as requested. Returns whether it exists.

    Raises:
        StudyExists, ModelChanged: as `reopen`.
        StudyExists: if the study belongs to another caller.
        QuotaExceeded: if its owner may not order the further queries.
    """
    study = _existing(backend, study_id, backend.registry.load)
    if study is None:
        return False

    def proceed(live: LiveStudy) -> None:
        with live.reading() as study:
            events = reopen(study_id, study, resolved.request, adopt=adopt)
            grown = [event.budget for event in events if isinstance(event, BudgetChanged)]
            with ordering(backend, study_id, study, grown[-1] if grown else study.budget):
                go_on(live, events)

    if reopen(study_id, study, resolved.request, adopt=adopt):
        backend.registry.act(study_id, proceed)
    return True


def view(backend: Backend, study_id: str, full: bool = True) -> study_pb2.Study:
    """The study as a message; without the fields that grow with its targets unless `full`.

    Raises:
        NotFound: if the study does not exist, or belongs to another caller by now.
    """
    published = backend.registry.published(study_id)
    owner = backend.authority.owner(names.study_name(study_id))
    return study_to_proto(study_id, published, full, owner)


def rows_of(spec: StudySpec) -> int:
    """The rows that a new study orders from an oracle of the server."""
    if spec.oracle is None:
        return 0
    baseline = 0 if spec.baseline is None else spec.baseline.rows
    return (len(spec.targets) * spec.budget.queries_per_target + baseline) * copies_of(spec)


def copies_of(spec: StudySpec) -> int:
    """The transformed copies of each candidate that the oracle sees."""
    return 1 if spec.transforms is None else spec.transforms.copies


@contextmanager
def ordering(backend: Backend, study_id: str, study: Study, budget: Budget) -> Iterator[None]:
    """Counts the further queries of a study for its owner, unless the context fails.

    Raises:
        QuotaExceeded: if the owner may not order them.
    """
    authority = backend.authority
    more = budget.queries_per_target - study.budget.queries_per_target
    rows = 0 if study.spec.oracle is None else more * len(study.targets) * copies_of(study.spec)
    with authority.quotas.ordering(rows, authority.owner(names.study_name(study_id))):
        yield


def _existing(backend: Backend, study_id: str, read: Callable[[str], T]) -> T | None:
    """What `read` finds about an existing study of the caller; None if the study does not exist.

    Raises:
        StudyExists: if the study belongs to another caller.
    """
    try:
        found = read(study_id)
    except NotFound:
        return None
    except StoreCorrupt:
        check_existing(backend.store.claims, names.study_name(study_id), "study_id")
        raise
    check_existing(backend.store.claims, names.study_name(study_id), "study_id")
    return found


def _checked(backend: Backend, message: study_pb2.StudySpec) -> ResolvedStudy:
    """The completely checked study. Field paths of errors begin at the specification."""
    spec = specs.study_from_proto(message)
    with of_spec(spec, None):
        _check_memory(spec.optimizer)
        request = request_of(backend, spec)
    with of_spec(spec, request.oracle):
        resolved = resolve(request)
        _check_population(resolved.created)
        return resolved


def _seeded(backend: Backend, spec: study_pb2.StudySpec, study_id: str) -> study_pb2.StudySpec:
    """`spec` with a seed: the caller's seed, the seed of the existing study, or a new seed.

    So a request without a seed can be repeated.
    """
    if spec.HasField("seed"):
        return spec
    seeded = study_pb2.StudySpec()
    seeded.CopyFrom(spec)
    existing = _existing(backend, study_id, backend.registry.published)
    drawn = secrets.randbits(SEED_BITS)
    seeded.seed = drawn if existing is None else existing.created.spec.seed
    return seeded


def _check_population(created: Created) -> None:
    if created.population > MAX_POPULATION:
        raise InvalidSpec(
            f"a generation of {created.population} candidates a target is too large: at most "
            f"{MAX_POPULATION} can be told apart; use a smaller population",
            field="optimizer.parameters",
        )


def _check_memory(spec: OptimizerSpec) -> None:
    """A caller can lower, but not raise, the memory limit of an optimizer on the server."""
    asked = spec.parameters.get("max_bytes")
    most = getattr(plugins.optimizers.get(spec.name), "max_bytes", None)
    if isinstance(asked, int) and isinstance(most, int) and asked > most:
        raise InvalidSpec(
            f"{spec.name}: max_bytes can be at most {most} on a server, got {asked}; use fewer "
            "targets, or an optimizer that needs less memory, such as 'sep_cma'",
            field="optimizer.parameters.max_bytes",
        )


def _check_size(preview: study_pb2.Study, targets: int) -> None:
    size = preview.ByteSize() + GROWTH_BYTES * targets
    if size > PAGE_BYTES:
        raise InvalidSpec(
            f"a study of {targets} targets described at this length takes {size} bytes a "
            f"message, more than {PAGE_BYTES}; split the targets over several studies",
            field="targets",
        )
