"""Kernel inception distance between a set of generated pictures and a set of natural pictures.

Binkowski, Sutherland, Arbel, Gretton, "Demystifying MMD GANs", ICLR 2018, section 4: the unbiased
estimate of the squared maximum mean discrepancy under the kernel k(x, y) = (x.y / d + 1)^3 of d
features. The paper uses features of an Inception net for pictures of 299x299. This module uses
the class tokens of the shipped vision transformer and the pooled last maps of a ResNet-20, two
nets for pictures of 32x32. Values for different features are not comparable with each other or
with published values.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from blackbox_am.bench import plausibility, problems
from blackbox_am.bench.sheets import Sheet, publish
from blackbox_am.core.generator import Generator
from blackbox_am.core.rng import Stream
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidInput

TRAIN_FILE = "cifar10_train_10000.npz"
TEST_FILE = problems.TEST_FILE
RESNET_LAYER, RESNET_CHANNELS = "layer3", 64
COMMAND = "blackbox-am bench kid"
DEGREE = 3
BATCH = 100
SCALE = 1000.0
"""Factor of the printed numbers, which are small."""
NOTE = (
    "0 is the expected distance between two sets of natural pictures. Features: class tokens of "
    "the shipped vision transformer, pooled last maps of a ResNet-20. The transformer was "
    "distilled from this ResNet-20, and the generators were trained with its features, so neither "
    "net is independent of the generators."
)

Features = Callable[[torch.Tensor], torch.Tensor]


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
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 4:
        raise InvalidInput(
            "features: expected two sets of at least 4 rows of the same width, got "
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


@dataclass(frozen=True)
class Row:
    """Distances of one set of pictures to the natural test pictures.

    Attributes:
        name: Source of the pictures.
        kids: Distance for each kind of features.
    """

    name: str
    kids: dict[str, Distance]


def run(
    generators: Sequence[str],
    assets: Path,
    count: int,
    page: Path | None,
    json_file: Path | None,
    say: Callable[[str], None],
) -> None:
    """Measure `count` pictures of each generator and of the training set, and print the table.

    Raises:
        InvalidInput: If a generator is unknown or makes stimuli of another shape.
        NotFound: If `assets` lacks the pictures or the ResNet-20.
    """
    made = {name: problems.generator(name, assets) for name in generators}
    test, train = (problems.pictures(assets / file)[0] for file in (TEST_FILE, TRAIN_FILE))
    for name, generator in made.items():
        if generator.stimulus_shape != tuple(test.shape[1:]):
            raise InvalidInput(
                f"{name} makes stimuli of shape {generator.stimulus_shape}; expected "
                f"{tuple(test.shape[1:])}, the shape of the natural pictures",
                field="generator",
            )
    nets = {"ViT": plausibility.features, "ResNet-20": resnet_features(assets)}
    natural = {net: features(test) for net, features in nets.items()}
    chosen = np.random.default_rng(0).permutation(len(train))[:count]
    rows = []
    for name in ("training pictures", *made):
        say(f"{name} ...")
        pictures = train[chosen] if name not in made else draw(made[name], count)
        kids = {net: distance(features(pictures), natural[net]) for net, features in nets.items()}
        rows.append(Row(name, kids))
    publish({"kid": [sheet(rows, count, len(test))]}, COMMAND, page)
    if json_file is not None:
        json_file.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


def draw(generator: Generator, count: int) -> torch.Tensor:
    """(count, *stimulus) pictures of latents from the generator's prior."""
    latents = generator.space.sample(Stream(0, "kid", 0), count)[0]
    with torch.no_grad():
        return torch.cat([generator.render(part).cpu() for part in torch.split(latents, BATCH)])


def sheet(rows: Sequence[Row], count: int, against: int) -> Sheet:
    """The table of `rows`."""
    nets = list(rows[0].kids)
    return Sheet(
        f"KID x {SCALE:g} of {count} pictures against {against} natural test pictures",
        ("pictures", *(f"{net}{part}" for net in nets for part in (" features", ", 95 %"))),
        tuple(
            (
                row.name,
                *(
                    text
                    for kid in row.kids.values()
                    for text in (
                        f"{SCALE * kid.value:.2f}",
                        f"{SCALE * kid.low:.2f} to {SCALE * kid.high:.2f}",
                    )
                ),
            )
            for row in rows
        ),
        (NOTE,),
    )


def resnet_features(assets: Path) -> Features:
    """A function from pictures (N, 3, 32, 32) to the mean last maps (N, 64) of the ResNet-20.

    Raises:
        NotFound: If `assets` lacks the weights.
    """
    oracle = problems.resnet20(assets)
    units = [Unit(RESNET_LAYER, channel) for channel in range(RESNET_CHANNELS)]

    @torch.no_grad()
    def features(stimuli: torch.Tensor) -> torch.Tensor:
        return torch.cat([oracle.observe(part, units) for part in torch.split(stimuli, BATCH)])

    return features
