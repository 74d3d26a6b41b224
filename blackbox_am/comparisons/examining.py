"""Measurements of the stimuli that a comparison found, after its searches.

No search sees these numbers. A part whose model or images are missing is left out; its numbers stay
nan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.comparisons.answering import all_answers, features
from blackbox_am.comparisons.likeness import distances_of_methods, diversities
from blackbox_am.comparisons.results import ComparedUnit, ComparisonResult, FloatArray, Run
from blackbox_am.comparisons.targets import objectives_of
from blackbox_am.comparisons.twins import Twin, find_twins, transfer
from blackbox_am.comparisons.typicality import typicality
from blackbox_am.core.generator import Generator, check_fit
from blackbox_am.core.oracle import Oracle
from blackbox_am.errors import ShapeMismatch
from blackbox_am.evaluation.plausibility import strangeness
from blackbox_am.evaluation.robustness import robust_scores
from blackbox_am.evaluation.scoring import reads_stimuli_alone

TRANSFORMED = (2, 3)
"""Numbers of axes of stimuli that can be transformed: series and pictures."""
TOGETHER = 64
"""Stimuli whose robust scores are measured at a time: each is measured for the units of all."""


def examine(
    result: ComparisonResult,
    *,
    oracle: Oracle,
    generator: Generator,
    second: Oracle | None = None,
    independent: Oracle | None = None,
    natural: NDArray[np.float32] | None = None,
    seed: int = 0,
) -> ComparisonResult:
    """`result` with the measurements of its stimuli.

    ====================  ======================================================================
    number                needs
    ====================  ======================================================================
    `robust`              stimuli that are pictures or series, and targets that read no latent and
                          compare with no input
    `typicality`          a generator with a normal prior
    `plausibility`        `independent` and two natural images
    `diversity`           `independent`
    `kid`                 `independent`, four natural images, 2,000 stimuli of a method
    `transfer`, twins     `second` and three natural images that have scores
    ====================  ======================================================================

    Args:
        result: the result of a comparison.
        oracle: the oracle that was searched.
        generator: the generator of the stimuli.
        second: another network, whose units the stimuli are shown to.
        independent: a network that had no part in the search or in the training of the generator,
            whose features compare stimuli with natural images.
        natural: (N, *stimulus) natural images in [0, 1], in the order of `ComparedUnit.natural`.
        seed: of the transformations and of the choice of images.

    Raises:
        ShapeMismatch: if a network takes stimuli of another shape, or if natural images have
            another shape or number.
        OracleError: if a model fails.
    """
    _check(result, generator, natural, {"second": second, "independent": independent})
    space = generator.space.spec
    result = _with(result, "typicality", [typicality(run.latent, space) for run in result.runs])
    if not any(map(_shows, result.runs)):
        return result
    if len(generator.stimulus_shape) in TRANSFORMED:
        result = _with_robust(result, oracle, seed)
    if independent is not None:
        result = _with_features(result, independent, natural, seed)
    if second is not None and natural is not None:
        result = _with_twins(result, second, natural)
    return result


def _with_robust(result: ComparisonResult, oracle: Oracle, seed: int) -> ComparisonResult:
    """`result` with the scores of its stimuli under the same fixed transformations."""
    shown = [
        run
        for run in result.runs
        if _shows(run) and reads_stimuli_alone(*objectives_of([run.unit], result.penalties))
    ]
    size = oracle.describe().batch_size
    found: list[FloatArray] = []
    for start in range(0, len(shown), TOGETHER):
        part = shown[start : start + TOGETHER]
        rows = torch.from_numpy(np.stack(_stimuli(part))).float()
        objectives = objectives_of([run.unit for run in part], result.penalties)
        found += list(robust_scores(oracle, rows, objectives, seed=seed, batch_size=size))
    return _with(result, "robust", found, shown)


def _with_features(
    result: ComparisonResult,
    independent: Oracle,
    natural: NDArray[np.float32] | None,
    seed: int,
) -> ComparisonResult:
    """`result` with the numbers that follow from features: plausibility, diversity and KID."""
    shown = [run for run in result.runs if _shows(run)]
    found = features(independent, _stimuli(shown))
    result = replace(result, diversity=diversities(result, shown, found))
    if natural is None or len(natural) < 2:
        return result
    reference = features(independent, natural)
    values = strangeness(found, reference).tolist()
    distances = distances_of_methods(result, shown, found, reference, seed)
    return replace(_with(result, "plausibility", values, shown), kid=distances)


def _with_twins(
    result: ComparisonResult, second: Oracle, natural: NDArray[np.float32]
) -> ComparisonResult:
    """`result` with the twin of each unit and the transfer of each stimulus."""
    measured = [unit for unit in result.units if unit.natural.size]
    if not measured:
        return result
    twins = find_twins(second, natural, np.stack([unit.natural for unit in measured]))
    known = {
        unit.unit: twin for unit, twin in zip(measured, twins, strict=True) if twin is not None
    }
    if not known:
        return result
    shown = [run for run in result.runs if _shows(run) and run.unit in known]
    columns = {name: column for column, name in enumerate(known)}
    read = [twin.unit for twin in known.values()]
    of_natural = all_answers(second, natural, read).numpy()
    of_stimuli = all_answers(second, _stimuli(shown), read).numpy()
    values = [
        transfer(known[run.unit], of_natural[:, columns[run.unit]], row[columns[run.unit]])
        for run, row in zip(shown, of_stimuli, strict=True)
    ]
    units = [_with_twin(unit, known.get(unit.unit)) for unit in result.units]
    return replace(_with(result, "transfer", values, shown), units=tuple(units))


def _with_twin(unit: ComparedUnit, twin: Twin | None) -> ComparedUnit:
    if twin is None:
        return unit
    return replace(unit, twin=str(twin.unit), twin_correlation=twin.correlation)


def _with(
    result: ComparisonResult,
    field: str,
    values: Sequence[Any],
    runs: Sequence[Run] | None = None,
) -> ComparisonResult:
    """`result` with `values` as `field` of `runs`, or of all its runs."""
    chosen = result.runs if runs is None else runs
    found = {id(run): value for run, value in zip(chosen, values, strict=True)}
    changed = [
        replace(run, **{field: found[id(run)]}) if id(run) in found else run for run in result.runs
    ]
    return replace(result, runs=tuple(changed))


def _shows(run: Run) -> bool:
    """Whether a run has a stimulus that a network can be shown."""
    return run.stimulus is not None and bool(np.isfinite(run.stimulus).all())


def _stimuli(runs: Sequence[Run]) -> list[NDArray[np.float32]]:
    return [run.stimulus for run in runs if run.stimulus is not None]


def _check(
    result: ComparisonResult,
    generator: Generator,
    natural: NDArray[np.float32] | None,
    networks: Mapping[str, Oracle | None],
) -> None:
    for name, network in networks.items():
        if network is not None:
            check_fit(generator, network.describe(), "the generator", f"the {name} network")
    if natural is None:
        return
    shape = tuple(generator.stimulus_shape)
    if natural.shape[1:] != shape:
        raise ShapeMismatch(
            f"natural images: expected shape {('N', *shape)}, got {natural.shape}",
            field="natural",
        )
    for unit in result.units:
        if unit.natural.size not in (0, len(natural)):
            raise ShapeMismatch(
                f"natural images: unit {unit.unit} has scores of {unit.natural.size} images, got "
                f"{len(natural)} images; give the images that were measured, in their order",
                field="natural",
            )
