"""Learning rates and recombination weights of CMA-ES, by how many rows came back.

Formulas: N. Hansen, "The CMA Evolution Strategy: A Tutorial" (arXiv:1604.00772v2, 2023),
Table 1 and equations 49-58; for the diagonal variant, R. Ros and N. Hansen, "A Simple
Modification in CMA-ES Achieving Linear Time and Space Complexity" (PPSN 2008): the
rates of the covariance times (D + 2) / 3.

This implementation differs in one thing: rows may be missing. A generation of which n rows came
back counts as a generation of population n, with the weights and rates of that size. Fewer than
two rows cannot be ranked, and every rate is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

TABULATED = 256
"""Rows of the largest population whose constants are tabulated, on other devices than the CPU."""


@dataclass(frozen=True)
class Rates:
    """The constants of one population size.

    Attributes:
        weights: one a row, best first; the positive ones sum to 1.
        mu_eff: variance-effective number of parents.
        c_sigma, d_sigma: rate and damping of the step size.
        c_c: rate of the evolution path.
        c_1, c_mu: rates of the rank-one and the rank-mu update.
    """

    weights: tuple[float, ...]
    mu_eff: float
    c_sigma: float
    d_sigma: float
    c_c: float
    c_1: float
    c_mu: float


def rates(population: int, dim: int, *, active: bool, diagonal: bool, directions: int = 0) -> Rates:
    """The published constants for `population` rows in `dim` dimensions.

    Args:
        population: lambda, at least 2.
        dim: D.
        active: whether the worse half gets negative weights.
        diagonal: whether only variances are learnt (sep-CMA-ES), and perhaps
        directions: number of directions learnt in addition, at proportionally smaller rates.
    """
    raw = [math.log((population + 1) / 2) - math.log(i + 1) for i in range(population)]
    good, bad = [w for w in raw if w > 0], [w for w in raw if w < 0]
    mu_eff = sum(good) ** 2 / sum(w * w for w in good)
    boost = max(1.0, (dim + 2) / (3 + directions)) if diagonal else 1.0
    c_1 = min(1.0, boost * 2 / ((dim + 1.3) ** 2 + mu_eff))
    c_mu = min(1 - c_1, boost * 2 * (0.25 + mu_eff + 1 / mu_eff - 2) / ((dim + 2) ** 2 + mu_eff))
    c_sigma = (mu_eff + 2) / (dim + mu_eff + 5)
    weight_of_bad = 0.0
    if active and c_mu > 0:
        mu_bad = sum(bad) ** 2 / sum(w * w for w in bad)
        weight_of_bad = min(
            1 + c_1 / c_mu,
            1 + 2 * mu_bad / (mu_eff + 2),
            (1 - c_1 - c_mu) / (dim * c_mu),  # keeps C positive definite
        )
    return Rates(
        weights=tuple(w / sum(good) if w > 0 else -w * weight_of_bad / sum(bad) for w in raw),
        mu_eff=mu_eff,
        c_sigma=c_sigma,
        d_sigma=1 + 2 * max(0.0, math.sqrt((mu_eff - 1) / (dim + 1)) - 1) + c_sigma,
        c_c=(4 + mu_eff / dim) / (dim + 4 + 2 * mu_eff / dim),
        c_1=c_1,
        c_mu=c_mu,
    )


@dataclass(frozen=True)
class Ranked:
    """Weights and rates of one generation.

    Every field is a number for each target, (K,), or for each row, (K, P). Numbers that follow from
    the rates alone are computed once.

    Attributes:
        valid: (K, P) rows that came back.
        weights: (K, P) in the order of the rows, 0 for rows that did not come back.
        sigma_kept, sigma_gain: factors on the path of the step size and on the move it is
            continued with.
        sigma_fade: 2 log(1 - c_sigma).
        sigma_rate: c_sigma / d_sigma.
        c_kept, c_gain: factors on the path of C and on the move it is continued with.
        c_1, c_mu: see `Rates`.
        share_kept: factor on the old C if the evolution path of C was updated, equation 47.
        share_late: what is added to `share_kept` if the evolution path was halted.
    """

    valid: torch.Tensor
    weights: torch.Tensor
    sigma_kept: torch.Tensor
    sigma_gain: torch.Tensor
    sigma_fade: torch.Tensor
    sigma_rate: torch.Tensor
    c_kept: torch.Tensor
    c_gain: torch.Tensor
    c_1: torch.Tensor
    c_mu: torch.Tensor
    share_kept: torch.Tensor
    share_late: torch.Tensor


class Law(Protocol):
    """The constants for `population` rows in `dim` dimensions; `rates` is one."""

    def __call__(self, population: int, dim: int, *, active: bool, diagonal: bool) -> Rates: ...

    def __hash__(self) -> int: ...


def descending(scores: torch.Tensor) -> torch.Tensor:
    """(K, P) int64: rows from the best to the worst score, nan last.

    Equal scores keep the order of their rows, so the ranking is the same on every device.
    """
    # nan sorts behind infinity; its sign bit, which the negation flips, must not count.
    return torch.where(scores.isnan(), torch.nan, -scores).argsort(dim=-1, stable=True)


def by_count(
    counts: torch.Tensor, population: int, table: Callable[..., torch.Tensor], *key: Hashable
) -> torch.Tensor:
    """(K, ...): `table(n, *key)` for each n of `counts` (K,), which are 0 to `population`.

    Every row is looked up in one tensor of all `population` + 1 entries, so that nothing waits for
    the device; above `TABULATED` rows the counts are read.
    """
    if population <= TABULATED:
        return _tabulated(table, population, key)[counts]
    known = counts.tolist()
    if known.count(known[0]) == len(known):
        first = table(known[0], *key)
        return first.expand(len(known), *first.shape)
    return torch.stack([table(n, *key) for n in known])


@lru_cache(maxsize=64)
def _tabulated(
    table: Callable[..., torch.Tensor], population: int, key: tuple[Hashable, ...]
) -> torch.Tensor:
    """(population + 1, ...): the entries of `table` for every number of rows."""
    return torch.stack([table(n, *key) for n in range(population + 1)])


def by_rank(
    scores: torch.Tensor, table: Callable[..., torch.Tensor], *key: Hashable
) -> torch.Tensor:
    """(T, K, P): the numbers of the rows of scores (K, P), where nan is a row that is missing.

    Args:
        scores: (K, P).
        table: (T, P) numbers, best row first, for a generation of n rows and `key`.
        key: further arguments of `table`.
    """
    population = scores.shape[-1]
    if scores.device.type == "cpu":
        return _by_rank_on_cpu(scores.numpy(), table, key)
    counts = (~scores.isnan()).sum(-1)
    numbers = by_count(counts, population, table, *key).transpose(0, 1)
    order = descending(scores).expand(numbers.shape)
    return numbers.new_empty(numbers.shape).scatter_(-1, order, numbers)


def _by_rank_on_cpu(
    scores: NDArray[Any], table: Callable[..., torch.Tensor], key: tuple[Hashable, ...]
) -> torch.Tensor:
    """`by_rank` with numpy, whose calls take a third of the time of torch's."""
    order = (-scores).argsort(axis=-1, kind="stable")  # nan is last, whatever its sign
    counts = _counts(scores)
    if counts.count(counts[0]) == len(counts):
        numbers = table(counts[0], *key).numpy()[:, None]
    else:
        numbers = np.stack([table(n, *key).numpy() for n in counts], axis=1)
    out = np.empty((len(numbers), *scores.shape), numbers.dtype)
    out[:, np.arange(len(scores))[:, None], order] = numbers
    return torch.from_numpy(out)


def _counts(scores: NDArray[Any]) -> list[int]:
    """The number of rows of each target, of scores (K, P), that are not nan."""
    population = scores.shape[-1]
    missing: list[int] = np.isnan(scores).sum(-1).tolist()
    return [population - number for number in missing]


def rank(
    scores: torch.Tensor,
    dim: int,
    dtype: torch.dtype,
    *,
    active: bool,
    diagonal: bool,
    law: Law = rates,
) -> Ranked:
    """Weights and rates for scores (K, P), where nan is a row that is missing."""
    population = scores.shape[-1]
    key = (population, dim, active, diagonal, law, scores.device, dtype)
    weights = by_rank(scores, _weights_of, *key)[0]
    if scores.device.type == "cpu":
        missing = torch.from_numpy(np.isnan(scores.numpy()))
        return Ranked(~missing, weights, *_columns(tuple(_counts(scores.numpy())), key))
    valid = ~scores.isnan()
    numbers = by_count(valid.sum(-1), population, _numbers_of, *key)
    return Ranked(valid, weights, *numbers.T.contiguous().unbind())


@lru_cache(maxsize=64)
def _columns(counts: tuple[int, ...], key: tuple[Any, ...]) -> tuple[torch.Tensor, ...]:
    """The ten numbers of `Ranked`, (K,) each, for generations of which `counts` rows came back."""
    return torch.stack([_numbers_of(n, *key) for n in counts], dim=1).unbind()


def _weights_of(present: int, *key: Any) -> torch.Tensor:
    return _constants(present, *key)[0]


def _numbers_of(present: int, *key: Any) -> torch.Tensor:
    return _constants(present, *key)[1]


@lru_cache(maxsize=256)
def _constants(
    present: int,
    population: int,
    dim: int,
    active: bool,
    diagonal: bool,
    law: Law,
    device: torch.device,
    dtype: torch.dtype,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (1, P) best first, and the ten numbers (10,) of `Ranked`, where `present` rows
    came back. With fewer than two rows, paths and C do not change.
    """
    weights = torch.zeros(1, population, dtype=torch.float64)
    numbers = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    if present >= 2:
        r = law(present, dim, active=active, diagonal=diagonal)
        weights[0, :present] = torch.tensor(r.weights, dtype=torch.float64)
        numbers = [
            1 - r.c_sigma,
            math.sqrt(r.c_sigma * (2 - r.c_sigma) * r.mu_eff),
            2 * math.log1p(-r.c_sigma),
            r.c_sigma / r.d_sigma,
            1 - r.c_c,
            math.sqrt(r.c_c * (2 - r.c_c) * r.mu_eff),
            r.c_1,
            r.c_mu,
            1 - r.c_1 - r.c_mu * math.fsum(r.weights),
            r.c_1 * r.c_c * (2 - r.c_c),
        ]
    return weights.to(device, dtype), torch.tensor(numbers, dtype=torch.float64).to(device, dtype)
