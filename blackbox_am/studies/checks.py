"""All checks of a study before it starts."""

from __future__ import annotations

from collections.abc import Callable

from blackbox_am.core.batches import fixed_batch_size
from blackbox_am.core.generator import Generator, check_fit, check_targets
from blackbox_am.core.optimizer import SearchContext
from blackbox_am.core.oracle import Oracle, check_gradients, check_units
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec, StudySpec
from blackbox_am.errors import GradientUnavailable, InvalidSpec
from blackbox_am.evaluation import check_measures
from blackbox_am.plugins import build_optimizer, optimizer_spec
from blackbox_am.studies.equipment import no_network
from blackbox_am.studies.events import Created
from blackbox_am.studies.starts import start_of
from blackbox_am.studies.study import Study
from blackbox_am.studies.targets import targets_of

MAX_GENERATION_BYTES = 2**29
"""Largest size in bytes of the latents, and of the activations, of one generation. A store may have
to write them as one value, and SQLite accepts no value of 10^9 bytes.
"""


def created(
    spec: StudySpec,
    generator: Generator | None,
    oracle: Oracle | None,
    network: Callable[[str], Oracle] = no_network,
    source: Study | None = None,
) -> Created:
    """The first event of a study with this `spec`, after all checks and with all defaults resolved.

    Args:
        spec: the caller's specification.
        generator: the generator of the spec, or None for a bare space.
        oracle: the oracle of the spec, or None if clients evaluate.
        network: finds networks by name, which an optimizer can use as prior knowledge.
        source: the study whose best latents are the start, if the spec names one.

    Raises:
        InvalidInput: if the spec cannot work; the error names the field.
        NotFound: if a network is not in the catalogue.
        Unsupported: if the optimizer cannot search this space or needs gradients that do not exist.
    """
    asked = build_optimizer(spec.optimizer)
    targets = targets_of(spec)
    layouts = [target.layout for target in targets]
    if generator is not None:
        check_targets(generator, len(targets))
    check_measures(layouts, generator)
    space = build_space(generator.space.spec if generator is not None else _bare(spec))
    asked.check(space)
    optimizer = asked.resolve(space, _search_context(spec, oracle))
    optimizer.check(space)
    optimizer = optimizer.bind(generator, network)
    population = optimizer.population_size(space)
    rows = population * len(targets)
    width = max(len(layout.quantities) for layout in layouts)
    latent_bytes = (4 if space.dtype is None else 8) * space.dim
    if rows * max(latent_bytes, 8 * width) > MAX_GENERATION_BYTES:
        raise InvalidSpec(
            f"a generation of {len(targets)} targets x {population} candidates x "
            f"{space.dim} dimensions, {width} quantities each, is too large: at most "
            f"{MAX_GENERATION_BYTES} bytes of latents, and as many of measurements; use fewer "
            "targets, fewer quantities or a smaller population",
            field="targets",
        )
    batch_size = 0
    if oracle is not None:
        info = oracle.describe()
        check_units(info, [unit for layout in layouts for unit in layout.units])
        if generator is not None:
            check_fit(generator, info, _named(spec), f"oracle {spec.oracle!r}")
        if optimizer.order == 1:
            check_gradients(info, optimizer.name)
        batch_size = fixed_batch_size(rows, info.batch_size)
    if optimizer.order == 1:
        _check_climbable(spec, generator, oracle)
    shape = () if generator is None else generator.stimulus_shape
    return Created(
        spec,
        space.spec,
        shape,
        population,
        batch_size,
        optimizer_spec(optimizer),
        start_of(spec, space, source),
        _warning(optimizer.name, population, spec.budget.queries_per_target),
    )


def _search_context(spec: StudySpec, oracle: Oracle | None) -> SearchContext:
    noisy = oracle is not None and not oracle.describe().deterministic
    return SearchContext(spec.budget.queries_per_target, len(spec.targets), noisy)


def _warning(name: str, population: int, queries: int) -> str:
    if queries >= population:
        return ""
    return (
        f"{queries} queries a target are less than a generation of {name}, which has "
        f"{population}: one of {queries} is measured"
    )


def _bare(spec: StudySpec) -> SpaceSpec:
    assert spec.space is not None  # StudySpec takes a generator or a space
    return spec.space


def _named(spec: StudySpec) -> str:
    return "the generator" if spec.generator is None else f"generator {spec.generator.name!r}"


def _check_climbable(spec: StudySpec, generator: Generator | None, oracle: Oracle | None) -> None:
    name = spec.optimizer.name
    if oracle is None:
        raise GradientUnavailable(
            f"{name} climbs gradients, and clients that ask and tell bring none; "
            "name an oracle, or use a gradient-free optimizer such as 'cma'",
            field="optimizer.name",
        )
    if generator is not None and not generator.differentiable:
        raise GradientUnavailable(
            f"{name} climbs gradients, and {_named(spec)} has none; use a gradient-free optimizer",
            field="optimizer.name",
        )
