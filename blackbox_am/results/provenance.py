"""Where a result comes from: versions, models and settings that reproduce it."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from importlib import metadata

from blackbox_am.core.spec import OptimizerSpec
from blackbox_am.version import __version__

PACKAGES = ("numpy", "torch", "cma", "nevergrad", "diffusers")
"""Packages whose version can change bits of a result."""


@dataclass(frozen=True)
class Identity:
    """The identity of an oracle or a generator.

    Attributes:
        digest: 32 hexadecimal digits, equal for equal models; empty for a model that clients
            evaluate.
        kind: the plug-in's name; empty if only the digest is known, as on a client.
        parameters: its parameters as text, by name. Secrets are hashed.
        contents: digests of files and of objects in memory, by the name of the parameter.
    """

    digest: str = ""
    kind: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Provenance:
    """What a result depends on, besides the specification of its study.

    Attributes:
        oracle, generator: the models at the end of the study.
        optimizer: the optimizer that searched, with all parameters resolved.
        population: number of candidates of each target in a generation.
        stimulus_shape: of one stimulus; empty for a bare space.
        noisy: whether the oracle does not repeat its answers.
        numerics: the processor and the mode of linear algebra; empty if unknown.
        versions: of this package, of Python and of the packages that can change bits, in the
            process that made this object. A server can have others.
    """

    oracle: Identity = Identity()
    generator: Identity = Identity()
    optimizer: OptimizerSpec = field(default_factory=OptimizerSpec)
    population: int = 0
    stimulus_shape: tuple[int, ...] = ()
    noisy: bool = False
    numerics: str = ""
    versions: dict[str, str] = field(default_factory=dict)


def versions() -> dict[str, str]:
    """Versions of this package, of Python, and of the installed ones of `PACKAGES`."""
    found = {"blackbox_am": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
