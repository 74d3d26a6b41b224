"""The registry of plug-ins, found by file name or entry point.

A plug-in of this package is a file: ``optimizers/evolution/sep_cma.py`` contains the one public
class ``SepCMA``, and its name is ``sep_cma``, wherever the file is. Or a plug-in is a package that
exports one class and whose other files all begin with an underscore: ``oracles/http/`` has the name
``http``. A folder with public files is a room; its files and packages are plug-ins. Other
distributions add plug-ins through the entry point groups ``blackbox_am.optimizers``,
``blackbox_am.generators``, ``blackbox_am.generators.wrappers``, ``blackbox_am.oracles``,
``blackbox_am.oracles.wrappers``, ``blackbox_am.objectives``, ``blackbox_am.criteria``,
``blackbox_am.measures`` and ``blackbox_am.transforms``. A plug-in is imported at its first use.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from blackbox_am.core.criterion import All, AnyOf, Criterion
from blackbox_am.core.generator import Generator
from blackbox_am.core.generator_wrapper import GeneratorWrapper
from blackbox_am.core.measure import Measure
from blackbox_am.core.objective import Objective, Product, Sum
from blackbox_am.core.optimizer import Optimizer
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.parameters import parameters_of
from blackbox_am.core.spec import CriterionSpec, ObjectiveSpec, OptimizerSpec, from_plain
from blackbox_am.core.transform import Transform
from blackbox_am.core.transform_spec import TransformSpec
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import InvalidSpec, did_you_mean

T = TypeVar("T")

_OTHER_KINDS = ("blackbox_am.generators.wrappers", "blackbox_am.oracles.wrappers")
"""Folders inside the folder of another kind that have their own registry."""


@dataclass(frozen=True)
class Registry(Generic[T]):
    """The plug-ins of one kind.

    Attributes:
        noun: name of the kind in messages: `optimizer`.
        package: the package of the plug-ins, and the entry point group of others.
        base: the contract of the kind.
    """

    noun: str
    package: str
    base: type[T]

    def names(self) -> list[str]:
        """The names, sorted."""
        return sorted(self._loaders())

    def get(self, name: str) -> type[T]:
        """The class `name`, or the family's class if `name` is `family:member`.

        Raises:
            InvalidSpec: if the name is unknown; the message lists similar names.
        """
        loaders = self._loaders()
        root, colon, _ = name.partition(":")
        if root not in loaders:
            near = did_you_mean(root, loaders)
            raise InvalidSpec(f"no {self.noun} is called {root!r}{near}", field=self.noun)
        plug_in = loaders[root]()
        if colon and not _family(plug_in):
            raise InvalidSpec(
                f"{root} is one {self.noun} and has no members; write {root!r} for {name!r}",
                field=self.noun,
            )
        return plug_in

    def build(self, name: str, parameters: dict[str, Any]) -> T:
        """Build the plug-in `name`, with `parameters` checked against its fields.

        Raises:
            InvalidSpec: if the name or a parameter is unknown, or if a value is wrong.
        """
        plug_in = self.get(name)
        _, colon, member = name.partition(":")
        if colon:
            family = _family(plug_in)
            if parameters.get(family, member) != member:
                raise InvalidSpec(
                    f"{name} says which {family}, and the parameter {family} says "
                    f"{parameters[family]!r}; leave one of them out",
                    field=f"parameters.{family}",
                )
            parameters = parameters | {family: member}
        return parameters_of(plug_in, name, parameters)

    def schema(self, name: str) -> dict[str, Any]:
        """JSON schema of the plug-in's parameters."""
        plug_in = self.get(name)
        schema = msgspec.json.schema(plug_in)
        return schema["$defs"][plug_in.__name__] if "$ref" in schema else schema

    def summary(self, name: str) -> str:
        """First paragraph of the plug-in's documentation, on one line."""
        return summary_of(self.get(name))

    def _loaders(self) -> dict[str, Callable[[], type[T]]]:
        return _loaders(self.package, self.base)  # type: ignore[arg-type]  # types hash


def summary_of(plug_in: type[Any]) -> str:
    """First paragraph of a plug-in's documentation, on one line."""
    text = inspect.getdoc(plug_in) or ""
    return " ".join(text.split("\n\n")[0].split())


def _family(plug_in: type[Any]) -> str:
    return getattr(plug_in, "family", "")


@cache
def _loaders(package: str, base: type[T]) -> dict[str, Callable[[], type[T]]]:
    folder = Path(str(importlib.import_module(package).__file__)).parent
    loaders = {
        module.rpartition(".")[2]: _module_loader(module, base)
        for module in _plug_in_modules(package, folder)
    }
    for point in entry_points(group=package):
        loaders.setdefault(point.name, point.load)
    return loaders


def _plug_in_modules(package: str, folder: Path) -> Iterator[str]:
    """Dotted names of the plug-ins below `folder`: public files, and packages without public
    files.
    """
    for module in pkgutil.iter_modules([str(folder)]):
        name, inner = f"{package}.{module.name}", folder / module.name
        if module.name.startswith("_") or name in _OTHER_KINDS:
            continue
        if module.ispkg and _is_room(inner):
            yield from _plug_in_modules(name, inner)
        else:
            yield name


def _is_room(folder: Path) -> bool:
    return any(not module.name.startswith("_") for module in pkgutil.iter_modules([str(folder)]))


def _module_loader(module_name: str, base: type[T]) -> Callable[[], type[T]]:
    @cache
    def load() -> type[T]:
        return public_class(importlib.import_module(module_name), base)

    return load


def public_class(module: Any, base: type[T]) -> type[T]:
    """The one public class of `module` that is a `base`.

    Raises:
        InvalidSpec: if there is none, or more than one.
    """
    found = [
        value
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, base)
        and f"{value.__module__}.".startswith(f"{module.__name__}.")
        and not name.startswith("_")
    ]
    if len(found) != 1:
        raise InvalidSpec(
            f"{module.__name__}: expected one public subclass of {base.__name__}, "
            f"found {len(found)}"
        )
    return found[0]


optimizers: Registry[Optimizer[Any]] = Registry(
    "optimizer",
    "blackbox_am.optimizers",
    Optimizer,  # type: ignore[type-abstract]
)
generators: Registry[Generator] = Registry(
    "generator",
    "blackbox_am.generators",
    Generator,  # type: ignore[type-abstract]
)
oracles: Registry[Oracle] = Registry(
    "oracle",
    "blackbox_am.oracles",
    Oracle,  # type: ignore[type-abstract]
)
wrappers: Registry[Wrapper] = Registry("wrapper", "blackbox_am.oracles.wrappers", Wrapper)
generator_wrappers: Registry[GeneratorWrapper] = Registry(
    "wrapper",
    "blackbox_am.generators.wrappers",
    GeneratorWrapper,  # type: ignore[type-abstract]
)
objectives: Registry[Objective] = Registry(
    "objective",
    "blackbox_am.objectives",
    Objective,  # type: ignore[type-abstract]
)

criteria: Registry[Criterion] = Registry(
    "criterion",
    "blackbox_am.criteria",
    Criterion,  # type: ignore[type-abstract]
)
measures: Registry[Measure] = Registry(
    "measure",
    "blackbox_am.measures",
    Measure,  # type: ignore[type-abstract]
)
transforms: Registry[Transform] = Registry(
    "transformation",
    "blackbox_am.transforms",
    Transform,  # type: ignore[type-abstract]
)


def measure(name: str) -> Measure:
    """The measure called `name`, such as `stimulus.tv`.

    Raises:
        InvalidSpec: if the name is unknown. The message lists similar names.
    """
    known = _measures()
    if name not in known:
        raise InvalidSpec(
            f"no measure is called {name!r}{did_you_mean(name, known)}; a layer of a model that is "
            "called so needs a selector, such as ':0', or quotes",
            field="targets.quantities",
        )
    return known[name]


@cache
def _measures() -> dict[str, Measure]:
    found = [measures.get(kind)() for kind in measures.names()]
    return {name: one for one in found for name in one.names}


def build_optimizer(spec: OptimizerSpec) -> Optimizer[Any]:
    """The optimizer that `spec` names.

    Raises:
        InvalidSpec: for an unknown name or parameter, or a bad value.
    """
    return optimizers.build(spec.name, spec.parameters)


def optimizer_spec(optimizer: Optimizer[Any]) -> OptimizerSpec:
    """The specification from which `optimizer` is built, with every parameter."""
    names = [field.name for field in dataclasses.fields(optimizer)]  # type: ignore[arg-type]
    values = {name: msgspec.to_builtins(getattr(optimizer, name)) for name in names}
    return OptimizerSpec(optimizer.name, values)


def wrap(inner: Oracle, kind: str, parameters: dict[str, Any]) -> Wrapper:
    """Wrap the oracle `inner` in the wrapper `kind`.

    Raises:
        InvalidSpec: if the name or a parameter is unknown, or if a value is wrong.
    """
    listed = parameters.get("transforms")
    if isinstance(listed, (list, tuple)):
        built = tuple(build_transform(from_plain(TransformSpec, one)) for one in listed)
        parameters = parameters | {"transforms": built}
    return _around(wrappers, "oracle", inner, kind, parameters)


def build_transform(spec: TransformSpec) -> Transform:
    """The transformation that `spec` names.

    Raises:
        InvalidSpec: for an unknown name or parameter, or a bad value.
    """
    return transforms.build(spec.name, spec.parameters)


def wrap_generator(inner: Generator, kind: str, parameters: dict[str, Any]) -> GeneratorWrapper:
    """Wrap the generator `inner` in the wrapper `kind`.

    Raises:
        InvalidSpec: if the name or a parameter is unknown, or if a value is wrong.
    """
    return _around(generator_wrappers, "generator", inner, kind, parameters)


def _around(
    registry: Registry[T], noun: str, inner: object, kind: str, parameters: dict[str, Any]
) -> T:
    if "inner" in parameters:
        raise InvalidSpec(
            f"{kind} has no parameter 'inner': it is put around the {noun} that it stands under",
            field="parameters.inner",
        )
    return registry.build(kind, {"inner": inner, **parameters})


def build_objective(spec: ObjectiveSpec) -> Objective:
    """The objective that `spec` describes, with all its terms.

    Raises:
        InvalidInput: for an unknown kind, a bad unit, or weights that do not fit.
    """
    if spec.kind in ("sum", "product"):
        return _build_joined(spec)
    if spec.terms:
        raise InvalidSpec(
            f"objective {spec.kind!r} reads quantities and has no terms; sum and product join "
            "terms",
            field="targets.terms",
        )
    _check_no_fields(f"objective {spec.kind!r}", spec.parameters, "targets")
    parameters: dict[str, Any] = {**spec.parameters, "quantities": spec.quantities}
    if spec.weights:
        parameters["weights"] = spec.weights
    return parameters_of(objectives.get(spec.kind), spec.kind, parameters)


def build_criterion(spec: CriterionSpec) -> Criterion:
    """The criterion that `spec` describes, with all its terms.

    Raises:
        InvalidInput: for an unknown kind, a bad unit or a bad parameter.
    """
    joined = {"all": All, "any": AnyOf}.get(spec.kind)
    if joined is None:
        if spec.terms:
            raise InvalidSpec(
                f"criterion {spec.kind!r} reads quantities and has no terms; all and any "
                "join terms",
                field="criteria.terms",
            )
        _check_no_fields(f"criterion {spec.kind!r}", spec.parameters, "criteria")
        parameters = {**spec.parameters, "quantities": spec.quantities}
        return parameters_of(criteria.get(spec.kind), spec.kind, parameters)
    if not spec.terms or spec.quantities or spec.parameters:
        raise InvalidSpec(
            f"criterion {spec.kind!r} joins terms, and has no quantities or parameters of its own; "
            f"got {len(spec.terms)} terms, {len(spec.quantities)} quantities and "
            f"{len(spec.parameters)} parameters",
            field="criteria.terms",
        )
    return joined(tuple(build_criterion(term) for term in spec.terms))


def _check_no_fields(what: str, parameters: dict[str, Any], field: str) -> None:
    """Refuses parameters that are fields of the specification."""
    for name in ("quantities", "weights"):
        if name in parameters:
            raise InvalidSpec(
                f"{what}: {name} is a field of its own and not among the parameters; move it there",
                field=f"{field}.parameters.{name}",
            )


def _build_joined(spec: ObjectiveSpec) -> Objective:
    if not spec.terms or spec.quantities or spec.parameters:
        raise InvalidSpec(
            f"objective {spec.kind!r} joins terms, and has no quantities or parameters of its "
            f"own; got {len(spec.terms)} terms, {len(spec.quantities)} quantities and "
            f"{len(spec.parameters)} parameters",
            field="targets.terms",
        )
    terms = tuple(build_objective(term) for term in spec.terms)
    if spec.kind == "product":
        return Product(terms)
    weights = spec.weights or (1.0,) * len(terms)
    if len(weights) != len(terms):
        raise InvalidSpec(
            f"objective 'sum' has {len(terms)} terms and {len(weights)} weights; "
            "give one weight a term, or none",
            field="targets.weights",
        )
    if not all(math.isfinite(weight) for weight in weights):
        raise InvalidSpec(
            f"objective 'sum': expected finite weights, got {weights}", field="targets.weights"
        )
    return Sum(terms, weights)
