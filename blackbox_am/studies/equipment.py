"""What a process has at hand for optimizers: the study's generator, and networks by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from blackbox_am.core.generator import Generator
from blackbox_am.core.optimizer import Optimizer
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.spec import StudySpec
from blackbox_am.errors import NotFound

Equip = Callable[[Optimizer[Any], StudySpec], Optimizer[Any]]
"""Gives the optimizer of a study what it needs, or raises what `Optimizer.bind` raises."""

FindGenerator = Callable[[StudySpec], Generator | None]
"""Finds the generator of a study; None over a bare space."""


def by_spec(generator: FindGenerator, network: Callable[[str], Oracle]) -> Equip:
    """For a process that runs many studies, and finds their generators."""
    return lambda optimizer, spec: optimizer.bind(generator(spec), network)


def no_generator(spec: StudySpec) -> Generator | None:
    """For a process that renders nothing."""
    del spec
    return None


def given(generator: Generator | None, network: Callable[[str], Oracle]) -> Equip:
    """For a process that runs one study, and holds its generator."""
    return lambda optimizer, _: optimizer.bind(generator, network)


def no_network(name: str) -> Oracle:
    """For where there is no catalogue.

    Raises:
        NotFound: always.
    """
    raise NotFound(
        f"no network {name!r}: this study was begun without a catalogue; give it one, such as "
        "Catalogue.default()",
        field="optimizer.parameters.network",
    )


def nothing(optimizer: Optimizer[Any], spec: StudySpec) -> Optimizer[Any]:
    """For a process that has neither."""
    del spec
    return optimizer.bind(None, no_network)
