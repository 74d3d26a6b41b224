"""Resolution of everything that a study needs, once before it begins or continues."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from blackbox_am.catalogue import Images
from blackbox_am.core.generator import Generator, check_fit, check_targets
from blackbox_am.core.identity import Fingerprint
from blackbox_am.core.layout import Layout
from blackbox_am.core.linear_algebra import numerics
from blackbox_am.core.metering import metering
from blackbox_am.core.optimizer import MAX_GENERATION_BYTES, Optimizer, SearchContext
from blackbox_am.core.oracle import Oracle, check_gradients, check_units
from blackbox_am.core.repeating import Repeats
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import OptimizerSpec, SpaceSpec, StudySpec
from blackbox_am.core.store import Store
from blackbox_am.core.types import Purpose
from blackbox_am.core.units import Unit
from blackbox_am.errors import GradientUnavailable, InvalidSpec, NotFound
from blackbox_am.evaluation import check_measures
from blackbox_am.plugins import build_objective, build_optimizer, optimizer_spec
from blackbox_am.studies import equipment, reports
from blackbox_am.studies.baselines import check_baseline
from blackbox_am.studies.batching import batch_size_of
from blackbox_am.studies.equipment import no_network
from blackbox_am.studies.events import Adopted, BudgetChanged, Created
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.probing import Probed
from blackbox_am.studies.rechecks import check_recheck, recheck_rows
from blackbox_am.studies.reopening import reopened
from blackbox_am.studies.starts import source_of, start_of
from blackbox_am.studies.study import Study
from blackbox_am.studies.targets import Target, targets_of


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request for a study, with the models that its specification names.

    Attributes:
        spec: the specification.
        generator: the generator of its stimuli; None for a bare space.
        oracle: the oracle; None if clients evaluate.
        network: function that returns a network by its name, for optimizers that use a network as
            prior knowledge.
        device: device of the optimizers.
        source: the study whose best latents are the start, if the specification names one.
        images: the natural images of the baseline, if the specification names some.
    """

    spec: StudySpec
    generator: Generator | None = None
    oracle: Oracle | None = None
    network: Callable[[str], Oracle] = no_network
    device: torch.device | str = "cpu"
    source: Study | None = None
    images: Images | None = None

    @cached_property
    def fingerprints(self) -> tuple[Fingerprint | None, Fingerprint | None]:
        """The present fingerprints of the oracle and of the generator."""
        return (
            None if self.oracle is None else self.oracle.fingerprint(),
            None if self.generator is None else self.generator.fingerprint(),
        )


@dataclass(frozen=True, kw_only=True)
class ResolvedStudy:
    """A study before it begins, completely checked and resolved.

    Attributes:
        request: the request.
        targets: the targets of the search.
        space: the latent space.
        optimizer: the optimizer that searches, bound to the models that it uses.
        created: the study's first event.
    """

    request: Request
    targets: tuple[Target, ...]
    space: Space
    optimizer: Optimizer[Any]
    created: Created


def resolve(request: Request) -> ResolvedStudy:
    """Checks a request and resolves everything that it leaves open. The oracle is not called.

    Raises:
        InvalidInput: for a spec that cannot work, naming the field.
        NotFound: for a network that is not in the catalogue, or a model's file.
        Unsupported: for an optimizer that cannot search this space, or needs gradients that the
            oracle lacks.
    """
    spec, generator, oracle = request.spec, request.generator, request.oracle
    targets = targets_of(spec)
    layouts = [target.layout for target in targets]
    if generator is not None:
        check_targets(generator, len(targets))
    check_measures(layouts, generator)
    check_baseline(spec, request.images, generator, layouts, MAX_GENERATION_BYTES)
    space = build_space(generator.space.spec if generator is not None else _bare(spec))
    check_recheck(spec.budget, len(targets), space.spec)
    build_optimizer(spec.optimizer).check(space)
    with metering() as spent:  # the description of some models needs a call
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
        spent=spent.total.marked(Purpose.PROBE),
        input_digests=() if generator is None else generator.input_digests(len(targets)),
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
    """The settings that depend on whether the oracle repeats its answers.

    Attributes:
        optimizer: the optimizer that searches, bound to the models that it uses.
        population: P, number of candidates of each target in a generation.
        batch_size: number of rows in each batch of the evaluator.
        noisy: whether the same stimulus may get different activations.
        warning: a warning for the owner of the study.
    """

    optimizer: Optimizer[Any]
    population: int
    batch_size: int
    noisy: bool
    warning: str

    @property
    def spec(self) -> OptimizerSpec:
        """The specification of the optimizer, with all parameters resolved."""
        return optimizer_spec(self.optimizer)


def settle(
    request: Request, space: Space, found: Probed, *, started: bool | None = None
) -> Settled:
    """Chooses the settings that depend on whether the oracle repeats its answers, and on whether
    the search has a start.

    Args:
        request: the request.
        space: the latent space.
        found: the result of the probe of the oracle.
        started: whether the search has a start; None if it has one only if the request names one.

    Raises:
        InvalidInput, Unsupported: as `resolve`.
    """
    spec, oracle = request.spec, request.oracle
    targets = len(spec.targets)
    kept = recheck_rows(spec.budget, found.noisy, targets, space.spec)
    budget = spec.budget.queries_per_target - kept
    asked = build_optimizer(spec.optimizer)
    optimizer = asked.resolve(space, _context(request, budget, noisy=found.noisy, started=started))
    optimizer.check(space)
    optimizer = optimizer.bind(request.generator, request.network)
    _check_climbable(spec, optimizer, request.generator, oracle)
    population = optimizer.population_size(space)
    return Settled(
        optimizer=optimizer,
        population=population,
        batch_size=batch_size_of(oracle, population * targets, found, fewer=bool(spec.criteria)),
        noisy=found.noisy,
        warning=_warning(optimizer.name, population, budget, found),
    )


def _context(request: Request, budget: int, *, noisy: bool, started: bool | None) -> SearchContext:
    """What is known of the study before it begins; `budget` is that of the search."""
    spec, generator = request.spec, request.generator
    return SearchContext(
        budget,
        len(spec.targets),
        noisy,
        exact=request.oracle is not None and not noisy,
        started=spec.start is not None if started is None else started,
        climbable=(
            generator is not None
            and generator.differentiable
            and generator.targets is None
            and len(generator.stimulus_shape) == 3
        ),
    )


def open_study(
    store: Store, study_id: str, request: Request, *, adopt: bool = False, **options: Any
) -> LiveStudy:
    """Begins the requested study, or continues the existing study of this id.

    Args:
        store: the store of the study.
        study_id: its id in the store.
        request: the request.
        adopt: whether to continue if the oracle or the generator has changed.
        options: further options, as for `LiveStudy`.

    Raises:
        InvalidInput, Unsupported: for a study that cannot work.
        StudyExists: if the study of this id has another specification, apart from a budget that
            grew.
        ModelChanged: if the oracle or the generator has changed, and `adopt` is false.
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
    """The events by which `study` continues according to `request`; see `reopened`.

    Raises:
        StudyExists, ModelChanged: as `reopened`.
        InvalidInput: for a model that does not fit the study.
    """
    events = reopened(study_id, study, request.spec, *request.fingerprints, adopt=adopt)
    if any(isinstance(event, Adopted) for event in events):
        check_adopted(study, request)
    return events


def check_adopted(study: Study, request: Request) -> None:
    """Checks that a study can continue with other models than those of its beginning.

    Raises:
        InvalidSpec: if the generator has another space, or stimuli of another shape.
        UnknownUnit, ShapeMismatch: if the oracle lacks a unit, or takes stimuli of another shape.
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
    """Writes the events of `reopen` to the study."""
    for event in events:
        if isinstance(event, Adopted):
            live.adopt(event)
        else:
            live.extend(event.budget)


def _equip(request: Request) -> equipment.Equip:
    return equipment.given(request.generator, request.network)


def units_of(layouts: Sequence[Layout]) -> list[Unit]:
    """The units of the oracle in the layouts of all targets."""
    return [unit for layout in layouts for unit in layout.units]


def _check_oracle(
    spec: StudySpec, oracle: Oracle, generator: Generator | None, units: list[Unit]
) -> None:
    info = oracle.describe()
    check_units(info, units)
    if generator is not None:
        check_fit(generator, info, _named(spec), f"oracle {spec.oracle!r}")


def _declared(oracle: Oracle | None) -> Probed:
    """The description of an oracle."""
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


def _warning(name: str, population: int, queries: int, found: Probed) -> str:
    few = (
        f"{queries} queries a target are less than a generation of {name}, which has "
        f"{population}: one of {queries} is measured"
    )
    return "; ".join(filter(None, [few if queries < population else "", found.warning]))


def _bare(spec: StudySpec) -> SpaceSpec:
    assert spec.space is not None  # StudySpec requires a generator or a space
    return spec.space


def _named(spec: StudySpec) -> str:
    return "the generator" if spec.generator is None else f"generator {spec.generator.name!r}"


def _check_climbable(
    spec: StudySpec, optimizer: Optimizer[Any], generator: Generator | None, oracle: Oracle | None
) -> None:
    """Checks that an optimizer of order 1 has gradients from the generator, from the oracle
    and from the objectives.
    """
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
    flat = next((t.kind for t in spec.targets if not build_objective(t).differentiable), None)
    if flat is not None:
        raise GradientUnavailable(
            f"{name} climbs gradients, and objective {flat!r} has none; use a gradient-free "
            "optimizer, or an objective of scores such as 'margin'",
            field="optimizer.name",
        )
