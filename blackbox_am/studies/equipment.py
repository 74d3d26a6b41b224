"""The models that a process provides to optimizers: the study's generator, and networks by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from blackbox_am.core.generator import Generator
from blackbox_am.core.optimizer import Optimizer
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.spec import StudySpec
from blackbox_am.errors import NotFound

Equip = Callable[[Optimizer[Any], StudySpec], Optimizer[Any]]
"""Gives the optimizer of a study the models that it needs, or raises the errors of
`Optimizer.bind`.
"""

FindGenerator = Callable[[StudySpec], Generator | None]
"""Function that returns the generator of a study; None for a study of a bare space."""


def by_spec(generator: FindGenerator, network: Callable[[str], Oracle]) -> Equip:
    """For a process that runs many studies, and finds their generators."""
    return lambda optimizer, spec: optimizer.bind(generator(spec), network)


def no_generator(spec: StudySpec) -> Generator | None:
    """For a process that does not render stimuli."""
    del spec
    return None


def given(generator: Generator | None, network: Callable[[str], Oracle]) -> Equip:
    """For a process that runs one study, and has its generator."""
    return lambda optimizer, _: optimizer.bind(generator, network)


def no_network(name: str) -> Oracle:
    """For a process without a catalogue.

    Raises:
        NotFound: always.
    """
    raise NotFound(
        f"no network {name!r}: this study was begun without a catalogue; give it one, such as "
        "Catalogue.default()",
        field="optimizer.parameters.network",
    )


def nothing(optimizer: Optimizer[Any], spec: StudySpec) -> Optimizer[Any]:
    """For a process with neither a generator nor networks."""
    del spec
    return optimizer.bind(None, no_network)
