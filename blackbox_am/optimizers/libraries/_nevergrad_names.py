"""nevergrad's registry: the names that a study can use, and the reason why others are refused.

Each refused name failed, or gave misleading results, in tests with nevergrad 1.0.12.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from blackbox_am.errors import Unsupported, did_you_mean

OTHERS = (
    "use another, such as nevergrad:DiagonalCMA, nevergrad:TwoPointsDE or nevergrad:OnePlusOne, "
    "or one of ours, such as snes, sep_cma or de"
)
PORTFOLIO_DIMENSIONS = 512
PORTFOLIO_POPULATION = 256
TWO_POINT_DIMENSIONS = 300
"""From here on pycma, on which nevergrad's CMA rests, adapts its step by two certain rows of each
of its generations, and fails where these are not the study's."""


def known(name: str) -> None:
    """Checks that nevergrad registers an optimizer called `name`.

    Raises:
        ValueError: if the name is not registered. The message lists similar names.
    """
    registry = _registry()
    if name not in registry:
        near = did_you_mean(name, registry)
        raise ValueError(f"nevergrad registers no optimizer called {name!r}{near}")


def check(name: str) -> None:
    """Refuses optimizers that fail in every study.

    Raises:
        Unsupported: for an optimizer that does not support batches.
    """
    _check_alone(name, _registry()[name])


def made(name: str, parametrization: Any, population: int, budget: int | None) -> Any:
    """The optimizer `name` of nevergrad over `parametrization`, for batches of `population`.

    CMA and its variants are built with the study's population. With a population of their own,
    their generations would not be those of the study.

    Raises:
        Unsupported: if the optimizer cannot be built, or does not work in a study.
    """
    from nevergrad.optimization import optimizerlib

    chosen = _registry()[name]
    _check_alone(name, chosen)
    if chosen.one_shot and budget is None:
        raise _refused(name, "plans all its points beforehand: set the parameter budget")
    workers = population
    if name == "CMA":
        chosen = optimizerlib.ParametrizedCMA(popsize=population)
    elif isinstance(chosen, optimizerlib.ParametrizedCMA):
        config = chosen.config() | {"popsize": population}
        chosen = optimizerlib.ParametrizedCMA(**config)
        workers = max(1, population - 1)  # an elitist one takes a row more than its workers
    try:
        optimizer = chosen(parametrization, budget=budget, num_workers=workers)
        parts = list(_parts(optimizer))
    except Exception as error:
        hint = "; it may need the parameter budget" if budget is None else ""
        raise _refused(
            name,
            f"cannot be set up for {parametrization.dimension} dimensions and a population of "
            f"{population} ({said(error)}){hint}",
        ) from error
    for part in parts:
        _check_part(name, part, population, parametrization.dimension)
    return optimizer


def said(error: Exception) -> str:
    """The message of an error of nevergrad, on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}".removesuffix(": ")


def _registry() -> Any:
    import nevergrad

    return nevergrad.optimizers.registry


def _refused(name: str, why: str) -> Unsupported:
    return Unsupported(f"nevergrad's {name} {why}; {OTHERS}", field="optimizer.name")


def _check_alone(name: str, chosen: Any) -> None:
    """Refuses an optimizer, or a part of another optimizer, whose flags in the registry show that a
    study cannot use it.
    """
    if chosen.recast:
        raise _refused(
            name,
            "runs a sequential routine in a thread of its own: it takes no batches, and "
            "what it does cannot be replayed",
        )
    if chosen.no_parallelization:
        raise _refused(name, "proposes one candidate at a time, and a study asks for batches")


def _check_part(name: str, part: Any, population: int, dimension: int) -> None:
    from nevergrad.optimization import optimizerlib

    if isinstance(part, optimizerlib._MetaModel):  # noqa: SLF001  # it has no public name
        raise _refused(
            name,
            f"fits models to past points here ({part.name}, of the MetaModel family): it fails on "
            "numpy 2.4, and networks that train by the clock cannot be replayed",
        )
    setting = getattr(part, "_configured_optimizer", part)
    if part.recast or part.no_parallelization or setting.no_parallelization:
        raise _refused(
            name,
            f"hands over to {part.name} here, which proposes one candidate at a time and cannot "
            "be replayed",
        )
    if isinstance(part, optimizerlib.Portfolio):
        _check_portfolio(name, part, population, dimension)
    if isinstance(part, optimizerlib._CMA):  # noqa: SLF001
        _check_cma(name, part, population, dimension)


def _check_cma(name: str, part: Any, population: int, dimension: int) -> None:
    if part._config.fcmaes or dimension == 1:  # noqa: SLF001
        raise _refused(name, "runs the package fcmaes here, which is no part of this")
    own = part._popsize  # noqa: SLF001
    if dimension >= TWO_POINT_DIMENSIONS and own != population:
        raise _refused(
            name,
            f"runs CMA with a population of {own} here, and fails from {TWO_POINT_DIMENSIONS} "
            f"dimensions on unless that is the batch, which is {population}",
        )


def _check_portfolio(name: str, part: Any, population: int, dimension: int) -> None:
    if dimension > PORTFOLIO_DIMENSIONS or population > PORTFOLIO_POPULATION:
        raise _refused(
            name,
            f"is a portfolio, which spends seconds a generation above {PORTFOLIO_DIMENSIONS} "
            f"dimensions and does nothing but quasi-random search above a population of "
            f"{PORTFOLIO_POPULATION}; this is {dimension} dimensions, population {population}",
        )
    if all(inner.one_shot for inner in part.optims):
        raise _refused(
            name,
            "is a portfolio, and with this budget and population does nothing but quasi-random "
            f"search; a budget of {12 * population} or more lets it search",
        )


def _parts(optimizer: Any) -> Iterator[Any]:
    """`optimizer`, and the optimizers that it runs inside, at any depth."""
    from nevergrad.optimization import base

    found, seen = [optimizer], set()
    while found:
        part = found.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        if hasattr(type(part), "optim"):
            found.append(part.optim)  # chosen when first looked at
        for value in vars(part).values():
            inner = value if isinstance(value, list | tuple) else [value]
            found += [entry for entry in inner if isinstance(entry, base.Optimizer)]
