"""Everything that a study needs, found and checked once before it begins or goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from blackbox_am.core.batches import fixed_batch_size
from blackbox_am.core.generator import Generator, check_fit, check_targets
from blackbox_am.core.identity import Fingerprint
from blackbox_am.core.layout import Layout
from blackbox_am.core.linear_algebra import numerics
from blackbox_am.core.metering import metering
from blackbox_am.core.optimizer import Optimizer, SearchContext
from blackbox_am.core.oracle import Oracle, check_gradients, check_units
from blackbox_am.core.repeating import Repeats
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import OptimizerSpec, SpaceSpec, StudySpec
from blackbox_am.core.store import Store
from blackbox_am.core.units import Unit
from blackbox_am.errors import GradientUnavailable, InvalidSpec, NotFound
from blackbox_am.evaluation import check_measures
from blackbox_am.plugins import build_optimizer, optimizer_spec
from blackbox_am.studies import equipment, reports
from blackbox_am.studies.equipment import no_network
from blackbox_am.studies.events import Adopted, BudgetChanged, Created
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.probing import Probed, as_probe
from blackbox_am.studies.reopening import reopened
from blackbox_am.studies.starts import source_of, start_of
from blackbox_am.studies.study import Study
from blackbox_am.studies.targets import Target, targets_of

MAX_GENERATION_BYTES = 2**29
"""Of the latents, and of the activations, of one generation. A store may have to take them
as one value, and SQLite takes none of 10^9 bytes."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A study that somebody asks for, with the models at hand that its specification names.

    Attributes:
        spec: what is asked for.
        generator: makes its stimuli; None over a bare space.
        oracle: measures them; None where clients evaluate.
        network: finds the networks by name that an optimizer may use as prior knowledge.
        device: where optimizers compute.
        source: the study whose best latents it begins at, where it names one.
    """

    spec: StudySpec
    generator: Generator | None = None
    oracle: Oracle | None = None
    network: Callable[[str], Oracle] = no_network
    device: torch.device | str = "cpu"
    source: Study | None = None

    @cached_property
    def fingerprints(self) -> tuple[Fingerprint | None, Fingerprint | None]:
        """Of the oracle and of the generator, as they are now."""
        return (
            None if self.oracle is None else self.oracle.fingerprint(),
            None if self.generator is None else self.generator.fingerprint(),
        )


@dataclass(frozen=True, kw_only=True)
class ResolvedStudy:
    """A study before it begins, everything checked and resolved.

    Attributes:
        request: what was asked for.
        targets: what is searched for.
        space: the latent space.
        optimizer: the one that searches, bound to what it uses.
        created: the study's first event.
    """

    request: Request
    targets: tuple[Target, ...]
    space: Space
    optimizer: Optimizer[Any]
    created: Created


def resolve(request: Request) -> ResolvedStudy:
    """Checks a request and settles all that it leaves open. The oracle observes nothing.

    Raises:
        InvalidInput: for a spec that cannot work, naming the field.
        NotFound: for a network that is not in the catalogue, or a model's file.
        Unsupported: for an optimizer that cannot search this space or climb this oracle.
    """
    spec, generator, oracle = request.spec, request.generator, request.oracle
    targets = targets_of(spec)
    layouts = [target.layout for target in targets]
    if generator is not None:
        check_targets(generator, len(targets))
    check_measures(layouts, generator)
    space = build_space(generator.space.spec if generator is not None else _bare(spec))
    build_optimizer(spec.optimizer).check(space)
    with metering() as spent:  # to describe some models is to call them
        if oracle is not None:
            _check_oracle(spec, oracle, generator, units_of(layouts))
    settled = settle(request, space, _declared(oracle))
    _check_size(layouts, space, settled.population)
    oracle_fingerprint, generator_fingerprint = request.fingerprints
    created = Created(
        spec,
        space.spec,
        () if generator is None else tuple(generator.stimulus_shape),
        settled.population,
        settled.batch_size,
        settled.spec,
        start_of(spec, space, request.source),
        settled.warning,
        oracle_fingerprint=oracle_fingerprint,
        generator_fingerprint=generator_fingerprint,
        noisy=settled.noisy,
        numerics=numerics(request.device),
        spent=as_probe(spent.total),
    )
    return ResolvedStudy(
        request=request,
        targets=tuple(targets),
        space=space,
        optimizer=settled.optimizer,
        created=created,
    )


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What depends on whether the oracle repeats itself.

    Attributes:
        optimizer: the one that searches, bound to what it uses.
        population: P, candidates a generation for each target.
        batch_size: the one batch shape that the evaluator runs.
        noisy: whether the same stimulus may get other activations.
        warning: what the owner of the study should know.
    """

    optimizer: Optimizer[Any]
    population: int
    batch_size: int
    noisy: bool
    warning: str

    @property
    def spec(self) -> OptimizerSpec:
        """What the optimizer is built from, all its parameters settled."""
        return optimizer_spec(self.optimizer)


def settle(request: Request, space: Space, found: Probed) -> Settled:
    """Chooses what depends on whether the oracle repeats itself.

    Raises:
        InvalidInput, Unsupported: as `resolve`.
    """
    spec, oracle = request.spec, request.oracle
    targets, budget = len(spec.targets), spec.budget.queries_per_target
    asked = build_optimizer(spec.optimizer)
    optimizer = asked.resolve(space, SearchContext(budget, targets, found.noisy))
    optimizer.check(space)
    optimizer = optimizer.bind(request.generator, request.network)
    _check_climbable(spec, optimizer, request.generator, oracle)
    population = optimizer.population_size(space)
    return Settled(
        optimizer=optimizer,
        population=population,
        batch_size=_batch_size(oracle, population * targets, found),
        noisy=found.noisy,
        warning=_warning(optimizer.name, population, budget, found),
    )


def open_study(
    store: Store, study_id: str, request: Request, *, adopt: bool = False, **options: Any
) -> LiveStudy:
    """Begins the study that `request` asks for, or goes on with the one of that id.

    Args:
        store: where the study is kept.
        study_id: its id there.
        request: what is asked for.
        adopt: whether to go on where the oracle or the generator is another one than before.
        options: further ones, as of `LiveStudy`.

    Raises:
        InvalidInput, Unsupported: for a study that cannot work.
        StudyExists: where that id has another specification, beyond a budget that grew.
        ModelChanged: where the oracle or the generator is another one, and `adopt` is false.
    """
    options = {"device": request.device, "equip": _equip(request), **options}
    try:
        study = reports.load(store, study_id)
    except NotFound:
        resolved = resolve(replace(request, source=source_of(request.spec, store)))
        return LiveStudy.create(store, study_id, resolved.created, **options)
    events = reopen(study_id, study, request, adopt=adopt)
    live = LiveStudy.recover(store, study_id, **options)
    go_on(live, events)
    return live


def reopen(
    study_id: str, study: Study, request: Request, *, adopt: bool = False
) -> list[Adopted | BudgetChanged]:
    """The events with which `study` goes on as `request` asks for it; see `reopened`.

    Raises:
        StudyExists, ModelChanged: as `reopened`.
        InvalidInput: for a model that does not fit the study that is to adopt it.
    """
    events = reopened(study_id, study, request.spec, *request.fingerprints, adopt=adopt)
    if any(isinstance(event, Adopted) for event in events):
        check_adopted(study, request)
    return events


def check_adopted(study: Study, request: Request) -> None:
    """Checks that a study can go on with other models than it began with.

    Raises:
        InvalidSpec: where the generator has another space, or makes stimuli of another shape.
        UnknownUnit, ShapeMismatch: where the oracle lacks a unit, or takes other stimuli.
    """
    generator, oracle = request.generator, request.oracle
    if generator is not None and (
        generator.space.spec != study.space
        or tuple(generator.stimulus_shape) != study.created.stimulus_shape
    ):
        raise InvalidSpec(
            "the study cannot adopt this generator, which has another latent space or makes "
            f"stimuli of another shape: expected {study.space} and "
            f"{study.created.stimulus_shape}, got {generator.space.spec} and "
            f"{tuple(generator.stimulus_shape)}; begin a new study",
            field="generator",
        )
    if oracle is not None:
        units = units_of([target.layout for target in study.targets])
        _check_oracle(request.spec, oracle, generator, units)


def go_on(live: LiveStudy, events: list[Adopted | BudgetChanged]) -> None:
    """Writes what `reopen` found to the study."""
    for event in events:
        if isinstance(event, Adopted):
            live.adopt(event)
        else:
            live.extend(event.budget)


def _equip(request: Request) -> equipment.Equip:
    return equipment.given(request.generator, request.network)


def units_of(layouts: Sequence[Layout]) -> list[Unit]:
    """The units of the oracle in what is measured for each target."""
    return [unit for layout in layouts for unit in layout.units]


def _check_oracle(
    spec: StudySpec, oracle: Oracle, generator: Generator | None, units: list[Unit]
) -> None:
    info = oracle.describe()
    check_units(info, units)
    if generator is not None:
        check_fit(generator, info, _named(spec), f"oracle {spec.oracle!r}")


def _declared(oracle: Oracle | None) -> Probed:
    """What an oracle says of itself."""
    noisy = oracle is not None and not oracle.describe().deterministic
    return Probed(Repeats.NEVER if noisy else Repeats.ALWAYS)


def _check_size(layouts: Sequence[Layout], space: Space, population: int) -> None:
    width = max(len(layout.quantities) for layout in layouts)
    latent_bytes = (4 if space.dtype is None else 8) * space.dim
    if population * len(layouts) * max(latent_bytes, 8 * width) > MAX_GENERATION_BYTES:
        raise InvalidSpec(
            f"a generation of {len(layouts)} targets x {population} candidates x "
            f"{space.dim} dimensions, {width} quantities each, is too large: at most "
            f"{MAX_GENERATION_BYTES} bytes of latents, and as many of measurements; use fewer "
            "targets, fewer quantities or a smaller population",
            field="targets",
        )


def _batch_size(oracle: Oracle | None, rows: int, found: Probed) -> int:
    if oracle is None:
        return 0
    if found.repeats is Repeats.ALONE:
        return 1
    return fixed_batch_size(rows, oracle.describe().batch_size)


def _warning(name: str, population: int, queries: int, found: Probed) -> str:
    few = (
        f"{queries} queries a target are less than a generation of {name}, which has "
        f"{population}: one of {queries} is measured"
    )
    return "; ".join(filter(None, [few if queries < population else "", found.warning]))


def _bare(spec: StudySpec) -> SpaceSpec:
    assert spec.space is not None  # StudySpec takes a generator or a space
    return spec.space


def _named(spec: StudySpec) -> str:
    return "the generator" if spec.generator is None else f"generator {spec.generator.name!r}"


def _check_climbable(
    spec: StudySpec, optimizer: Optimizer[Any], generator: Generator | None, oracle: Oracle | None
) -> None:
    """Checks that an optimizer of order 1 has gradients all the way."""
    if optimizer.order == 0:
        return
    name = optimizer.name
    if oracle is None:
        raise GradientUnavailable(
            f"{name} climbs gradients, and clients that ask and tell bring none; "
            "name an oracle, or use a gradient-free optimizer such as 'cma'",
            field="optimizer.name",
        )
    check_gradients(oracle.describe(), name)
    if generator is not None and not generator.differentiable:
        raise GradientUnavailable(
            f"{name} climbs gradients, and {_named(spec)} has none; use a gradient-free optimizer",
            field="optimizer.name",
        )
