"""Kernel inception distance: how far generated pictures are from natural ones, as a set.

Binkowski, Sutherland, Arbel, Gretton, "Demystifying MMD GANs", ICLR 2018, section 4: the unbiased
estimate of the squared maximum mean discrepancy under the kernel k(x, y) = (x.y / d + 1)^3 of d
features. Theirs are an Inception net's, for pictures of 299x299; ours are the class tokens of the
shipped vision transformer, or the pooled last maps of a ResNet-20, both nets for 32x32. Values of
different features are not comparable with each other, nor with published ones.
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
from blackbox_am.errors import InvalidInput
from training.data import TEST_FILE, TRAIN_FILE, read_images
from training.teacher import load_teacher

COMMAND = "blackbox-am bench kid"
DEGREE = 3
BATCH = 100
SCALE = 1000.0
"""Of what is printed; as it is, the numbers are small."""
NOTE = (
    "0 is as near as natural pictures are to each other. Features: class tokens of the shipped "
    "vision transformer, pooled last maps of a ResNet-20. The transformer was distilled from that "
    "ResNet-20, which also had a part in training the generators: neither judges from outside."
)

Features = Callable[[torch.Tensor], torch.Tensor]


def kernel(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(N, M): (x.y / d + 1)^3 for features (N, d) and (M, d)."""
    products: torch.Tensor = (x @ y.T / x.shape[1] + 1.0) ** DEGREE
    return products


def squared_discrepancy(
    among_x: torch.Tensor, among_y: torch.Tensor, across: torch.Tensor
) -> float:
    """The unbiased estimate of MMD^2; it is below 0 by chance where both sets are alike.

    Args:
        among_x: Kernel values (N, N) of one set, N at least 2.
        among_y: (M, M) of the other.
        across: (N, M) between them.
    """
    n, m = across.shape
    within_x = (among_x.sum() - among_x.diagonal().sum()) / (n * (n - 1))
    within_y = (among_y.sum() - among_y.diagonal().sum()) / (m * (m - 1))
    return float(within_x + within_y - 2.0 * across.mean())


@dataclass(frozen=True)
class Distance:
    """A KID and how sure it is.

    Attributes:
        value: From all pictures.
        error: Its standard error.
    """

    value: float
    error: float

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return self.value - 1.96 * self.error

    @property
    def high(self) -> float:
        """Upper end."""
        return self.value + 1.96 * self.error


def distance(x: torch.Tensor, y: torch.Tensor) -> Distance:
    """The KID of two sets of features.

    The value takes all pictures, which the unbiased estimate allows; the paper's mean over
    subsets has the same expectation and a larger variance. The error is the jackknife's: every
    picture of either set is left out once (Arvesen, "Jackknifing U-Statistics", 1969).

    Args:
        x: (N, d), N at least 4.
        y: (M, d), M at least 4.

    Raises:
        InvalidInput: For fewer rows, another width, or numbers that are not finite.
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
    """The part of the jackknife's variance that comes from one set.

    Args:
        among: (N, N) kernel values of that set.
        across: (N, M) between it and the other.
    """
    n, m = across.shape
    others = among.sum(1) - among.diagonal()
    within = (others.sum() - 2 * others) / ((n - 1) * (n - 2))
    between = (across.sum() - across.sum(1)) / ((n - 1) * m)
    values = within - 2 * between
    return float((n - 1) / n * (values - values.mean()).square().sum())


@dataclass(frozen=True)
class Row:
    """One set of pictures against the natural test pictures.

    Attributes:
        name: What made the pictures.
        kids: By features.
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
    """Measures `count` pictures of each generator, and of the training pictures, and prints it.

    Raises:
        InvalidInput: For a generator that there is not, or whose stimuli are no such pictures.
        NotFound: Where the pictures or the ResNet-20 are not in `assets`.
    """
    made = {name: problems.generator(name, assets) for name in generators}
    test, train = (read_images(assets / file).x for file in (TEST_FILE, TRAIN_FILE))
    for name, generator in made.items():
        if generator.stimulus_shape != tuple(test.shape[1:]):
            raise InvalidInput(
                f"{name} makes stimuli of shape {generator.stimulus_shape}; expected "
                f"{tuple(test.shape[1:])}, as the natural pictures have",
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
    """(N, 64) from (N, 3, 32, 32): the last maps of the ResNet-20 in `assets`, averaged.

    Raises:
        NotFound: Where its weights are not there.
    """
    network = load_teacher(assets / "cifar10_resnet20.safetensors", torch.device("cpu"))

    @torch.no_grad()
    def features(stimuli: torch.Tensor) -> torch.Tensor:
        maps = [network.features(part)[-1] for part in torch.split(stimuli, BATCH)]
        return torch.cat(maps).mean((2, 3))

    return features
