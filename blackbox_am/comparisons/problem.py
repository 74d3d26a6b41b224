"""What is compared: the specification of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from blackbox_am.comparisons.targets import (
    check_different_targets,
    check_penalties,
    quantities_of,
)
from blackbox_am.core.spec import MAX_BASELINE_ROWS, MAX_QUERIES, from_plain
from blackbox_am.core.transform_spec import TransformsSpec
from blackbox_am.core.units import Unit
from blackbox_am.errors import BlackboxError, InvalidSpec, did_you_mean

VERSION = 1
"""The version of the specification that this package reads."""
FORWARD, BACKWARD = 1.0, 1.0
"""Query-equivalents of a forward pass, and of the backward pass that a gradient needs besides."""
LEAST_UNITS, LEAST_LAYERS, LEAST_SEEDS = 20, 3, 5
"""Smallest numbers of units, layers and seeds that the protocol asks for."""
MAX_SEED = 10**6

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=60)]


class MethodSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A method that is compared: an optimizer with its parameters.

    Attributes:
        name: its name in the comparison, different from the others'.
        optimizer: name of the optimizer; the name of the method if empty.
        parameters: of the optimizer; others have their defaults.
        budget: query-equivalents for each unit and seed, in place of the comparison's budget.
        reference: whether the method is shown for reference and not compared.
    """

    name: Name
    optimizer: str = ""
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    budget: Annotated[int, msgspec.Meta(ge=1, le=MAX_QUERIES)] | None = None
    reference: bool = False

    @property
    def searches_with(self) -> str:
        """Name of the optimizer."""
        return self.optimizer or self.name


RANDOM = MethodSpec("random", reference=True)
DEFAULT_METHODS = (
    MethodSpec("adam", parameters={"restarts": 2}),
    MethodSpec("sep_cma"),
    MethodSpec("auto"),
)
"""Gradient ascent from two samples of the prior, one after the other; an evolution strategy; and
what the package chooses by itself.
"""


class ComparisonSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A comparison of methods on the same units, generator, start distribution and budget.

    Attributes:
        oracle: name of the model in the catalogue.
        generator: name of the generator in the catalogue.
        version: of this specification, 1.
        name: of the comparison.
        units: what is searched, K targets: units, or expressions of them such as
            `head:3 - 0.5*head:5`. Without units they are chosen from `layers`.
        layers: layers whose units are searched, such as `layer3` or `layer3@center`; without units
            and layers, four layers that are spread over the depth of the model.
        units_per_layer: number of units of each layer, evenly spaced.
        tuning_units: units on which parameters of the methods were tuned; no unit is searched here
            that is one of them.
        methods: the methods, 1 or more.
        random_search: whether a random search is added as a reference, where no method is one.
        against: name of the method with which the others are compared; the first method with
            gradients if empty.
        budget: query-equivalents for each unit and seed. A forward pass costs 1, a forward and a
            backward pass cost 2.
        seeds: number of seeds (0, 1, ...), or the seeds, from 0 to a million.
        baseline: name of the set of natural images; empty for none.
        baseline_rows: largest number of natural images, evenly spaced in the set.
        recheck_fraction: fraction of each search's budget that measures its best candidates again;
            None is 0.1 for a noisy model, else 0.
        penalties: measures of the stimulus that are subtracted from every target, and their
            weights: {"stimulus.tv": 20}.
        transforms: random transformations under which the model sees stimuli, the same for all
            methods; none if None.
        reference_seeds: number of seeds of the references, the first ones of `seeds`.
        second: name of another model, to which found stimuli are shown (transfer); empty for none.
        independent: name of a model whose features say how natural a stimulus is; empty for none.
    """

    oracle: str
    generator: str
    version: int = VERSION
    name: Name = "comparison"
    units: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    units_per_layer: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 5
    tuning_units: tuple[str, ...] = ()
    methods: tuple[MethodSpec, ...] = DEFAULT_METHODS
    random_search: bool = True
    against: str = ""
    budget: Annotated[int, msgspec.Meta(ge=1, le=MAX_QUERIES)] = 1000
    seeds: int | tuple[int, ...] = LEAST_SEEDS
    baseline: str = "shipped"
    baseline_rows: Annotated[int, msgspec.Meta(ge=1, le=MAX_BASELINE_ROWS)] = 200
    recheck_fraction: Annotated[float, msgspec.Meta(ge=0, lt=1)] | None = None
    penalties: dict[str, float] = msgspec.field(default_factory=dict)
    transforms: TransformsSpec | None = None
    reference_seeds: Annotated[int, msgspec.Meta(ge=1)] = 1
    second: str = ""
    independent: str = ""

    def __post_init__(self) -> None:
        if self.units and self.layers:
            raise ValueError("units: name units, or layers to choose them from, one of the two")
        _check_methods(self)
        _check_seeds(self.seeds)
        check_different_targets(self.units)
        check_penalties(self.penalties)
        check_tuning(self.units, self.tuning_units)

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """The S seeds."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds

    def seeds_of(self, method: MethodSpec) -> tuple[int, ...]:
        """The seeds with which a method runs."""
        return self.all_seeds[: self.reference_seeds] if method.reference else self.all_seeds

    @property
    def all_methods(self) -> tuple[MethodSpec, ...]:
        """The methods, with the random search if it is added."""
        searched = {method.searches_with for method in self.methods}
        if not self.random_search or "random" in searched:
            return self.methods
        return (*self.methods, RANDOM)


def spec_of(plain: Mapping[str, Any]) -> ComparisonSpec:
    """A specification from plain data, such as a table of TOML.

    Raises:
        InvalidSpec: if it is wrong; the message names the field, what was expected and what came.
    """
    version = plain.get("version", VERSION)
    if version != VERSION:
        raise InvalidSpec(
            f"version: expected {VERSION}, the version of comparisons that this package reads, got "
            f"{version!r}; use the version of the package that the file was written for, or write "
            "it anew from `blackbox-am compare --example`",
            field="version",
        )
    return from_plain(ComparisonSpec, dict(plain))


def check_different(field: str, names: Sequence[str]) -> None:
    """Check that no name occurs twice.

    Raises:
        ValueError: if one does; the message begins with `field`.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{field}: {twice[0]!r} occurs more than once; each must be different")


def check_tuning(units: tuple[str, ...], tuning: tuple[str, ...]) -> None:
    """Check that no unit is searched on which parameters were tuned.

    Raises:
        ValueError: if there is one; the message names all of them.
    """
    tuned = {channel for unit in tuning for channel in _channels(unit)}
    both = [unit for unit in units if not tuned.isdisjoint(_channels(unit))]
    if both:
        raise ValueError(
            "tuning_units: a unit that was used for tuning says nothing about other units; "
            f"expected no unit in both sets, got {', '.join(both)} in both; take "
            f"{'them' if len(both) > 1 else 'it'} out of one set"
        )


def _channels(target: str) -> set[object]:
    """The units of a target without positions and reductions: `layer3:5@center` is tuned with
    `layer3:5`. Measures of the stimulus are tuned with nothing.
    """
    try:
        found = [one for one in quantities_of(target) if isinstance(one, Unit)]
    except BlackboxError as error:
        raise ValueError(f"units: {error.message}") from error
    return {(one.layer, one.index) for one in found}


def _check_methods(spec: ComparisonSpec) -> None:
    names = [method.name for method in spec.all_methods]
    if not spec.methods:
        raise ValueError("methods: expected one method or more, such as adam, sep_cma and auto")
    check_different("methods", names)
    if all(method.reference for method in spec.methods):
        raise ValueError(
            "methods: every method is a reference, and nothing is compared; expected one method or "
            "more without reference = true"
        )
    compared = [method.name for method in spec.methods if not method.reference]
    if spec.against and spec.against not in compared:
        raise ValueError(
            f"against: expected the name of a compared method ({', '.join(compared)}), got "
            f"{spec.against!r}{did_you_mean(spec.against, compared)}"
        )


def _check_seeds(seeds: int | tuple[int, ...]) -> None:
    if isinstance(seeds, int):
        if not 1 <= seeds <= 1000:
            raise ValueError(f"seeds: expected a number from 1 to 1,000, got {seeds}")
        return
    if not seeds or not all(0 <= seed <= MAX_SEED for seed in seeds):
        raise ValueError(
            f"seeds: expected their number, or a list of seeds from 0 to {MAX_SEED:,}, got "
            f"{list(seeds)}"
        )
    check_different("seeds", [str(seed) for seed in seeds])
