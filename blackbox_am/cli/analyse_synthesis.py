"""`blackbox-am analyse invert`, `dream` and `style`: back from features to stimuli."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from blackbox_am.cli import options
from blackbox_am.cli.analyse_inputs import stimulus_of
from blackbox_am.cli.analyse_options import Config, Folder, Image, Layer, Oracle, say


def add_to(app: typer.Typer) -> None:
    """Add the commands to the group `analyse`."""
    for command in (invert, dream, style):
        app.command(command.__name__)(command)


def invert(
    layer: Layer,
    oracle: Oracle = "cifar_cnn",
    image: Image = "shipped:0",
    generator: Annotated[
        str, typer.Option("--generator", help="In which the stimulus is searched.")
    ] = "cifar_vae",
    optimizer: options.OptimizerName = "auto",
    means: Annotated[
        bool, typer.Option("--means", help="Compare the mean of each unit, not every position.")
    ] = False,
    tv: Annotated[float, typer.Option("--tv", help="Weight of the total variation.")] = 0.0,
    queries: options.Queries = 2000,
    folder: Folder = Path("analysis"),
    seed: options.Seed = 0,
    config: Config = None,
    as_json: options.AsJson = False,
) -> None:
    """A stimulus with the activations of a given one: over latents, or by gradients over pixels.

    By gradients: --generator pixels_32 --optimizer adam.
    """
    from blackbox_am.analysis.synthesis import invert

    catalogue = options.catalogue_of(config)
    with closing(catalogue.oracle(oracle)) as model:
        shown = stimulus_of(image, catalogue, model.describe().stimulus_shape)
        result = invert(
            model,
            layer,
            shown,
            catalogue.generator(generator),
            positions=not means,
            optimizer=optimizer,
            queries=queries,
            tv=tv,
            seed=seed,
        )
        say(result, folder, as_json=as_json)


def dream(
    layer: Layer,
    oracle: Oracle = "cifar_cnn",
    image: Image = "shipped:0",
    blackbox: Annotated[
        bool,
        typer.Option("--blackbox", help="Search low frequencies within a ball, without gradients."),
    ] = False,
    octaves: Annotated[int, typer.Option("--octaves", min=1, help="Of the ascent.")] = 4,
    iterations: Annotated[int, typer.Option("--iterations", min=0, help="At each octave.")] = 10,
    leash: Annotated[
        float, typer.Option("--radius", help="Of the ball around the image, without gradients.")
    ] = 3.0,
    queries: options.Queries = 1000,
    folder: Folder = Path("analysis"),
    seed: options.Seed = 0,
    config: Config = None,
    as_json: options.AsJson = False,
) -> None:
    """Deep Dream: change an image so that a layer sees more of what it sees already."""
    from blackbox_am.analysis.synthesis import dream

    catalogue = options.catalogue_of(config)
    with closing(catalogue.oracle(oracle)) as model:
        shown = stimulus_of(image, catalogue, model.describe().stimulus_shape)
        result = dream(
            model,
            layer,
            shown,
            gradients=not blackbox,
            octaves=octaves,
            iterations=iterations,
            leash=leash,
            queries=queries,
            seed=seed,
        )
        say(result, folder, as_json=as_json)


def style(
    layers: Annotated[
        list[str], typer.Option("--style-layer", "-l", help="A layer of the style; repeat it.")
    ],
    pattern: Annotated[
        str, typer.Option("--style", help="The image of the style, named as --image is.")
    ],
    image: Image = "shipped:0",
    content: Annotated[
        str, typer.Option("--content-layer", help="A layer that keeps the content.")
    ] = "",
    oracle: Oracle = "cifar_cnn",
    steps: Annotated[int, typer.Option("--steps", min=1, help="Of Adam.")] = 300,
    folder: Folder = Path("analysis"),
    config: Config = None,
    as_json: options.AsJson = False,
) -> None:
    """Style transfer: an image with the Gram matrices of another (needs maps and gradients)."""
    from blackbox_am.analysis.synthesis import style_transfer

    catalogue = options.catalogue_of(config)
    with closing(catalogue.oracle(oracle)) as model:
        shape = model.describe().stimulus_shape
        shown, other = (stimulus_of(text, catalogue, shape) for text in (image, pattern))
        result = style_transfer(
            model, shown, other, style_layers=layers, content_layer=content, steps=steps
        )
        say(result, folder, as_json=as_json)
