"""Kernel inception distance between a set of generated pictures and a set of natural pictures.

Binkowski, Sutherland, Arbel, Gretton, "Demystifying MMD GANs", ICLR 2018, section 4: the unbiased
estimate of the squared maximum mean discrepancy under the kernel k(x, y) = (x.y / d + 1)^3 of d
features. The paper uses features of an Inception net for pictures of 299x299. `features` are those
of a net for pictures of 32x32. Values for different features are not comparable with each other or
with published values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from blackbox_am.core.images import resized
from blackbox_am.errors import InvalidInput
from blackbox_am.zoo import catalogue, loading

DEGREE = 3
LEAST_ROWS = 4
"""Rows of a set without which the standard error is undefined."""
NETWORK = "cifar_vit"
SIDE = 32
BATCH = 100


def kernel(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(N, M): (x.y / d + 1)^3 for features (N, d) and (M, d)."""
    products: torch.Tensor = (x @ y.T / x.shape[1] + 1.0) ** DEGREE
    return products


def squared_discrepancy(
    among_x: torch.Tensor, among_y: torch.Tensor, across: torch.Tensor
) -> float:
    """The unbiased estimate of MMD^2; it can be below 0 if both distributions are equal.

    Args:
        among_x: Kernel values (N, N) within the first set, N at least 2.
        among_y: Kernel values (M, M) within the second set, M at least 2.
        across: Kernel values (N, M) between the sets.
    """
    n, m = across.shape
    within_x = (among_x.sum() - among_x.diagonal().sum()) / (n * (n - 1))
    within_y = (among_y.sum() - among_y.diagonal().sum()) / (m * (m - 1))
    return float(within_x + within_y - 2.0 * across.mean())


@dataclass(frozen=True)
class Distance:
    """A kernel inception distance with its standard error.

    Attributes:
        value: The estimate from all pictures.
        error: The standard error of `value`.
    """

    value: float
    error: float

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return self.value - 1.96 * self.error

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return self.value + 1.96 * self.error


def distance(x: torch.Tensor, y: torch.Tensor) -> Distance:
    """The kernel inception distance of two sets of features.

    The value is computed from all pictures. The paper's mean over subsets has the same
    expectation and a larger variance. The standard error is the jackknife estimate, which leaves
    out every picture of both sets once (Arvesen, "Jackknifing U-Statistics", 1969).

    Args:
        x: (N, d), N at least 4.
        y: (M, d), M at least 4.

    Raises:
        InvalidInput: If a set has fewer rows, if the widths differ, or if a number is not finite.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < LEAST_ROWS:
        raise InvalidInput(
            f"features: expected two sets of at least {LEAST_ROWS} rows of the same width, got "
            f"{tuple(x.shape)} and {tuple(y.shape)}"
        )
    if not (x.isfinite().all() and y.isfinite().all()):
        raise InvalidInput("features: expected finite numbers, got nan or infinite ones")
    x, y = x.double(), y.double()
    among_x, among_y, across = kernel(x, x), kernel(y, y), kernel(x, y)
    variance = _left_out(among_x, across) + _left_out(among_y, across.T)
    return Distance(squared_discrepancy(among_x, among_y, across), math.sqrt(variance))


def _left_out(among: torch.Tensor, across: torch.Tensor) -> float:
    """The contribution of one set to the jackknife variance.

    Args:
        among: (N, N) kernel values within the set.
        across: (N, M) kernel values between this set and the other set.
    """
    n, m = across.shape
    others = among.sum(1) - among.diagonal()
    within = (others.sum() - 2 * others) / ((n - 1) * (n - 2))
    between = (across.sum() - across.sum(1)) / ((n - 1) * m)
    values = within - 2 * between
    return float((n - 1) / n * (values - values.mean()).square().sum())


def features(stimuli: torch.Tensor) -> torch.Tensor:
    """Class tokens (N, 96) of the shipped vision transformer for stimuli (N, 3, H, W), which are
    scaled to 32x32 first.
    """
    entry = catalogue.entry(NETWORK)
    network = loading.load_classifier(NETWORK)
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (entry.mean, entry.std))
    found = []
    with torch.no_grad():
        for part in torch.split(stimuli, BATCH):
            small = part
            if part.shape[2:] != (SIDE, SIDE):
                small = resized(part, (SIDE, SIDE), "bilinear")
            found.append(network.features((small - mean) / std)[:, 0])  # type: ignore[operator]
    return torch.cat(found)
