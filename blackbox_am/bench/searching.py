"""The searches of the benchmarks: studies of units, each divided by its natural maximum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am import Result, maximise
from blackbox_am.bench.problems import Problem
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import InvalidInput
from blackbox_am.oracles.wrappers.measurement.noise import Noise

Floats = NDArray[np.float64]

SPIKES = 20.0
"""Mean count of the Poisson noise at the natural maximum of a unit."""
REMEASURED = 64
"""Stimuli in a batch of noise-free measurements."""


@dataclass(frozen=True)
class Relative(Wrapper):
    """Activations compared with those of natural images, in float64: (activation - zero) / one.

    Attributes:
        scales: address, zero and one of each unit that may be observed.
    """

    kind: ClassVar[str] = "relative"
    changes_answers: ClassVar[bool] = True

    scales: tuple[tuple[str, float, float], ...] = ()

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        known = {name: scale for name, *scale in self.scales}
        answer = self.ask(stimuli, units).to(torch.float64)
        zero, one = answer.new_tensor([known[str(unit)] for unit in units]).T
        compared: torch.Tensor = (answer - zero) / one
        return compared


def search(
    problem: Problem,
    seeds: int,
    optimizer: str,
    parameters: dict[str, Any],
    *,
    queries: int,
    noise: str,
    start: NDArray[Any] | None = None,
    recheck_fraction: float = 0.0,
    store: str | Path = ":memory:",
    name: str = "bench",
) -> Result:
    """Searches every unit of a problem `seeds` times, in one study.

    Args:
        problem: the units, and the generator; target k is unit k // seeds.
        seeds: searches of each unit.
        optimizer, parameters: what searches.
        queries: rows for each target.
        noise: see `level`.
        start: (K, D) latents at which the searches begin; None for the optimizer's own start.
        recheck_fraction: fraction of `queries` that measures the best candidates again.
        store: journal of the study, from which a search that was stopped continues.
        name: of the study in the journal.

    Raises:
        BlackboxError: if the optimizer refuses the problem, or fails.
    """
    clean = _noise_free_oracle(problem)
    spread = level(noise)
    if spread != 0 and not problem.has_ratios:
        raise InvalidInput(
            f"{problem.name}: the noise is relative to the natural maximum, and units have natural "
            "maxima of 0 or less; search without noise, or choose other units",
            field="noise",
        )
    oracle: Oracle = clean
    if math.isnan(spread):
        oracle = Noise(clean, poisson=SPIKES)
    elif spread:
        oracle = Noise(clean, multiplicative=spread)
    return maximise(
        oracle=oracle,
        generator=problem.generator,
        targets=[str(unit) for unit in problem.units for _ in range(seeds)],
        optimizer=optimizer,
        parameters=parameters,
        queries_per_target=queries,
        recheck_fraction=recheck_fraction,
        start=start,
        keep_latents="best" if spread == 0 else "all",
        device="cpu",
        store=store,
        study_id=name,
    )


def noise_free(
    result: Result, problem: Problem, seeds: int, noise: str, queries: Sequence[int]
) -> Floats:
    """(len(queries), K) noise-free activations of the best of the first rows, as they were told.

    Args:
        result: what `search` returned for the same problem, seeds and noise.
        problem, seeds, noise: as of `search`.
        queries: numbers of rows.
    """
    told = np.concatenate([generation.scores for generation in result.history], axis=1)
    told = np.where(np.isnan(told), -np.inf, told)
    best = np.maximum.accumulate(told, axis=1)
    if level(noise) == 0:
        return best[:, [n - 1 for n in queries]].T
    rows = np.where(told == best, np.arange(told.shape[1]), 0)
    incumbents = np.maximum.accumulate(rows, axis=1)  # of equal scores the last one
    latents = np.concatenate(result.latents, axis=1)
    chosen = incumbents[:, [n - 1 for n in queries]]
    return np.stack([_remeasured(problem, seeds, latents, column) for column in chosen.T])


def noise_free_best(result: Result, problem: Problem, seeds: int) -> Floats:
    """(K,) noise-free activations of the best candidate that the search reports."""
    latents = best_latents(result).numpy()[:, None]
    return _remeasured(problem, seeds, latents, np.zeros(len(latents), np.int64))


def best_latents(result: Result) -> torch.Tensor:
    """(K, D) latents of the best candidate of each target, as reported."""
    return torch.from_numpy(np.stack([best.latent for best in result.best]))


def level(noise: str) -> float:
    """The deviation of the random factor; nan for Poisson noise.

    Raises:
        InvalidInput: if `noise` is neither a number from 0 nor `poisson`.
    """
    if noise == "poisson":
        return math.nan
    try:
        deviation = float(noise)
    except ValueError:
        deviation = -1.0
    if not 0 <= deviation < math.inf:
        raise InvalidInput(
            f"noise: expected a number from 0, such as 0.5, or 'poisson', got {noise!r}"
        )
    return deviation


def _noise_free_oracle(problem: Problem) -> Relative:
    zero, one = problem.zero_and_one
    scales = zip(map(str, problem.units), zero.tolist(), one.tolist(), strict=True)
    return Relative(problem.oracle, tuple(scales))


def _remeasured(
    problem: Problem, seeds: int, latents: NDArray[Any], rows: NDArray[np.int64]
) -> Floats:
    """(K,) noise-free activations of row `rows[k]` of the latents (K, rows, D) of target k."""
    oracle, targets = _noise_free_oracle(problem), np.arange(len(rows))
    picked = torch.from_numpy(latents[targets, rows])
    with torch.no_grad():
        tables = [
            oracle.observe(problem.generator.render_targets(part, numbers), problem.units)
            for part, numbers in zip(
                torch.split(picked, REMEASURED),
                torch.split(torch.from_numpy(targets), REMEASURED),
                strict=True,
            )
        ]
    table: Floats = torch.cat(tables).cpu().numpy()
    own: Floats = table[targets, targets // seeds]
    return own
