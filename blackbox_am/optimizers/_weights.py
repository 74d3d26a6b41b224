"""Learning rates and recombination weights of CMA-ES, by how many rows came back.

Formulas: N. Hansen, "The CMA Evolution Strategy: A Tutorial" (arXiv:1604.00772v2, 2023),
Table 1 and equations 49-58; for the diagonal variant, R. Ros and N. Hansen, "A Simple
Modification in CMA-ES Achieving Linear Time and Space Complexity" (PPSN 2008): the
rates of the covariance times (D + 2) / 3.

Ours differs in one thing: rows may be missing. A generation of which n rows came back is
learnt from as a generation of population n, with the weights and rates of that size. Of
fewer than two rows nothing can be ranked, and every rate is 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch


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


def rates(population: int, dim: int, *, active: bool, diagonal: bool) -> Rates:
    """The published constants for `population` rows in `dim` dimensions.

    Args:
        population: lambda, at least 2.
        dim: D.
        active: whether the worse half gets negative weights.
        diagonal: whether only variances are learnt (sep-CMA-ES).
    """
    raw = [math.log((population + 1) / 2) - math.log(i + 1) for i in range(population)]
    good, bad = [w for w in raw if w > 0], [w for w in raw if w < 0]
    mu_eff = sum(good) ** 2 / sum(w * w for w in good)
    boost = (dim + 2) / 3 if diagonal else 1.0
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
    """What one generation taught, and how much to believe of it.

    Attributes:
        valid: (K, P) rows that came back.
        weights: (K, P) in the order of the rows, 0 for those that did not.
        mu_eff, c_sigma, d_sigma, c_c, c_1, c_mu: (K,), see `Rates`.
    """

    valid: torch.Tensor
    weights: torch.Tensor
    mu_eff: torch.Tensor
    c_sigma: torch.Tensor
    d_sigma: torch.Tensor
    c_c: torch.Tensor
    c_1: torch.Tensor
    c_mu: torch.Tensor


def descending(scores: torch.Tensor) -> torch.Tensor:
    """(K, P) int64: rows from the best to the worst score, nan last.

    Equal scores keep the order of their rows, so the ranking is the same on every device.
    """
    # nan sorts behind infinity; its sign bit, which the negation flips, must not count.
    return torch.where(scores.isnan(), torch.nan, -scores).argsort(dim=-1, stable=True)


def rank(
    scores: torch.Tensor, dim: int, dtype: torch.dtype, *, active: bool, diagonal: bool
) -> Ranked:
    """Weights and rates for scores (K, P), where nan is a row that is missing."""
    population = scores.shape[-1]
    weights, columns = _tables(population, dim, active, diagonal, scores.device, dtype)
    valid = ~scores.isnan()
    present = valid.sum(-1)
    by_row = torch.zeros_like(weights[present]).scatter(-1, descending(scores), weights[present])
    return Ranked(valid, by_row, *columns[:, present])


@lru_cache(maxsize=64)
def _tables(
    population: int,
    dim: int,
    active: bool,
    diagonal: bool,
    device: torch.device,
    dtype: torch.dtype,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (P+1, P) and rates (6, P+1), by how many rows came back."""
    weights = [[0.0] * population] * 2
    columns = [[1.0, 0.0, 1.0, 0.0, 0.0, 0.0]] * 2
    for n in range(2, population + 1):
        r = rates(n, dim, active=active, diagonal=diagonal)
        weights.append([*r.weights, *[0.0] * (population - n)])
        columns.append([r.mu_eff, r.c_sigma, r.d_sigma, r.c_c, r.c_1, r.c_mu])
    table = torch.tensor(weights, dtype=torch.float64)
    by_rate = torch.tensor(columns, dtype=torch.float64).T
    return table.to(device, dtype), by_rate.to(device, dtype)
