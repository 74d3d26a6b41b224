"""The benchmark of generators' pictures: their kernel inception distance to natural pictures.

Features are the class tokens of the shipped vision transformer and the pooled last maps of a
ResNet-20, two nets for pictures of 32x32; see `blackbox_am.evaluation.kid`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from blackbox_am.bench import problems
from blackbox_am.bench.sheets import Sheet, publish
from blackbox_am.core.generator import Generator
from blackbox_am.core.rng import Stream
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidInput
from blackbox_am.evaluation import kid
from blackbox_am.evaluation.kid import Distance, distance

TRAIN_FILE = "cifar10_train_10000.npz"
TEST_FILE = problems.TEST_FILE
RESNET_LAYER, RESNET_CHANNELS = "layer3", 64
COMMAND = "blackbox-am bench kid"
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
    nets = {"ViT": kid.features, "ResNet-20": resnet_features(assets)}
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
