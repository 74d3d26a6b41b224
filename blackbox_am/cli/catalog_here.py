"""Lists the plug-ins and models of this installation in the form of a server's answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from blackbox_am import plugins
from blackbox_am.catalogue import Catalogue
from blackbox_am.client import GeneratorListing, OptimizerListing, OracleListing, PlugInListing
from blackbox_am.errors import BlackboxError


def optimizers() -> list[OptimizerListing]:
    """All optimizers; one that cannot be loaded is listed with the reason."""
    return [_optimizer(name) for name in plugins.optimizers.names()]


def objectives() -> list[PlugInListing]:
    """All objectives; one that cannot be loaded is listed with the reason."""
    return [
        PlugInListing(**_plug_in(plugins.objectives, name)) for name in plugins.objectives.names()
    ]


def generators(config: Path | None) -> list[GeneratorListing]:
    """The generators of the catalogue in `config`; the shipped ones if it is None."""
    catalogue = catalogue_of(config)
    return [_generator(name, catalogue.generator) for name in catalogue.generator_names()]


def oracles(config: Path | None) -> list[OracleListing]:
    """The oracles of the catalogue in `config`; the shipped ones if it is None."""
    catalogue = catalogue_of(config)
    return [_oracle(name, catalogue.oracle) for name in catalogue.oracle_names()]


def catalogue_of(config: Path | None) -> Catalogue:
    """The catalogue of a server with this `config`; the shipped models if it is None.

    Raises:
        NotFound: if the file does not exist.
        InvalidSpec: if the file's content is wrong.
    """
    if config is None:
        return Catalogue.default()
    from blackbox_am.service.config import load_config

    return load_config(config).catalogue


def _optimizer(name: str) -> OptimizerListing:
    fields = _plug_in(plugins.optimizers, name)
    if fields["problem"]:
        return OptimizerListing(**fields, order=0, spaces=())
    found = plugins.optimizers.get(name)
    return OptimizerListing(**fields, order=found.order, spaces=tuple(sorted(found.spaces)))


def _plug_in(registry: plugins.Registry[Any], name: str) -> dict[str, Any]:
    try:
        summary, schema, problem = registry.summary(name), registry.schema(name), ""
    except (BlackboxError, ImportError) as error:
        summary, schema, problem = "", {}, str(error)
    return {"name": name, "summary": summary, "schema": schema, "problem": problem}


def _generator(name: str, build: Callable[[str], Any]) -> GeneratorListing:
    try:
        made = build(name)
        space, shape, targets = made.space.spec, tuple(made.stimulus_shape), made.targets
    except BlackboxError as error:
        return GeneratorListing(name, "", None, (), False, "", error.message)
    summary = plugins.summary_of(type(made))
    return GeneratorListing(
        name, made.kind, space, shape, made.differentiable, summary, "", made.licence, targets
    )


def _oracle(name: str, build: Callable[[str], Any]) -> OracleListing:
    try:
        return OracleListing(name, build(name).describe(), "")
    except BlackboxError as error:
        return OracleListing(name, None, error.message)
