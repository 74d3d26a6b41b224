"""`blackbox-am analyse probe`, `alignment` and `tcav`: directions in the activations of a layer."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from blackbox_am.cli import options
from blackbox_am.cli.analyse_inputs import examples_of
from blackbox_am.cli.analyse_options import Config, Folder, Oracle, Unit, say

_EXAMPLES = "a folder of images, a set of the catalogue, or a .npy file (N, *stimulus)."
Positive = Annotated[
    str, typer.Option("--positive", "-p", help=f"Examples of the concept: {_EXAMPLES}")
]
Negative = Annotated[
    str, typer.Option("--negative", "-n", help=f"Examples without the concept: {_EXAMPLES}")
]
Layer = Annotated[str, typer.Option("--layer", "-l", help="The layer of the direction.")]
Draws = Annotated[int, typer.Option("--draws", min=1, help="Random draws of negatives.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the group `analyse`."""
    for command in (probe, alignment, tcav):
        app.command(command.__name__)(command)


def probe(
    positive: Positive,
    layer: Layer,
    negative: Negative = "shipped",
    oracle: Oracle = "cifar_cnn",
    draws: Draws = 10,
    folder: Folder = Path("analysis"),
    seed: options.Seed = 0,
    config: Config = None,
    as_json: options.AsJson = False,
) -> None:
    """The direction that separates a concept from other stimuli (CAV), with its spread.

    `direction` in data.npz has one number for each unit. Accuracy does not establish alignment.
    """
    from blackbox_am.analysis.directions import probe

    catalogue = options.catalogue_of(config)
    with closing(catalogue.oracle(oracle)) as model:
        shape = model.describe().stimulus_shape
        sets = [examples_of(text, catalogue, shape) for text in (positive, negative)]
        say(probe(model, layer, *sets, draws=draws, seed=seed), folder, as_json=as_json)


def alignment(
    positive: Positive,
    layer: Layer,
    negative: Negative = "shipped",
    hard_positive: Annotated[
        str | None,
        typer.Option("--hard-positive", help="The concept without what goes with it."),
    ] = None,
    hard_negative: Annotated[
        str | None,
        typer.Option("--hard-negative", help="What goes with the concept, without the concept."),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option("--masks", help="A .npy file (P, height, width): the concept in --positive."),
    ] = None,
    oracle: Oracle = "cifar_cnn",
    folder: Folder = Path("analysis"),
    seed: options.Seed = 0,
    config: Config = None,
    as_json: options.AsJson = False,
) -> None:
    """Whether a probe means its concept: hard examples, a control without it, masks, changes."""
    from blackbox_am.analysis.directions import alignment
    from blackbox_am.core.pictures import array_in

    catalogue = options.catalogue_of(config)
    with closing(catalogue.oracle(oracle)) as model:
        shape = model.describe().stimulus_shape
        sets = [
            None if text is None else examples_of(text, catalogue, shape)
            for text in (positive, negative, hard_positive, hard_negative)
        ]
        result = alignment(
            model,
            layer,
            sets[0],
            sets[1],
            hard_positive=sets[2],
            hard_negative=sets[3],
            masks=None if masks is None else array_in(masks, "--masks"),
            seed=seed,
        )
        say(result, folder, as_json=as_json)


def tcav(
    positive: Positive,
    layer: Layer,
    stimuli: Annotated[
        str, typer.Option("--stimuli", help=f"Stimuli of the class --unit: {_EXAMPLES}")
    ],
    unit: Unit = "head:3",
    random: Annotated[
        str, typer.Option("--random", help=f"Other stimuli, three times as many: {_EXAMPLES}")
    ] = "shipped",
    oracle: Oracle = "cifar_cnn",
    draws: Draws = 10,
    sets: Annotated[
        int, typer.Option("--sets", min=1, help="Random sets in the concept's place.")
    ] = 40,
    folder: Folder = Path("analysis"),
    seed: options.Seed = 0,
    config: Config = None,
    as_json: options.AsJson = False,
) -> None:
    """Whether a class grows along a concept's direction, against random sets (needs gradients)."""
    from blackbox_am.analysis.directions import tcav

    catalogue = options.catalogue_of(config)
    with closing(catalogue.oracle(oracle)) as model:
        shape = model.describe().stimulus_shape
        shown, good, pool = (
            examples_of(text, catalogue, shape) for text in (stimuli, positive, random)
        )
        result = tcav(model, unit, layer, shown, good, pool, draws=draws, sets=sets, seed=seed)
        say(result, folder, as_json=as_json)
