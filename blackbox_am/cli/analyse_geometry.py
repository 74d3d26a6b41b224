"""`blackbox-am analyse geometry`, `compare-models` and `components`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from blackbox_am.cli import options
from blackbox_am.cli.analyse_inputs import arrays_of, examples_of
from blackbox_am.cli.analyse_options import Config, Folder, Layer, Oracle, say

Probe = Annotated[
    Path,
    typer.Option(
        "--probe",
        help="A .npz file with `stimuli` (N, *stimulus) and `labels` (N,), their classes.",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the group `analyse`."""
    for command in (geometry, compare_models, components):
        app.command(command.__name__.replace("_", "-"))(command)


def geometry(
    probe: Probe,
    layer: Layer,
    oracle: Oracle = "cifar_cnn",
    centre: Annotated[
        bool, typer.Option("--centre", help="Subtract the mean of all stimuli before the cosines.")
    ] = False,
    folder: Folder = Path("analysis"),
    seed: options.Seed = 0,
    config: Config = None,
    as_json: options.AsJson = False,
) -> None:
    """How a layer arranges classes: cosines against random directions, clusters, a t-SNE map."""
    from blackbox_am.analysis.geometry import geometry

    given = arrays_of(probe, ("stimuli", "labels"))
    with closing(options.catalogue_of(config).oracle(oracle)) as model:
        result = geometry(model, layer, given["stimuli"], given["labels"], centre=centre, seed=seed)
        say(result, folder, as_json=as_json)


def compare_models(
    first: Annotated[str, typer.Argument(help="A model, by its name in the catalogue.")],
    second: Annotated[str, typer.Argument(help="The other model.")],
    probe: Probe,
    layer: Layer,
    other_layer: Annotated[
        str, typer.Option("--other-layer", help="The layer of the second model, if it differs.")
    ] = "",
    resamples: Annotated[int, typer.Option("--resamples", help="Of the bootstrap.")] = 200,
    folder: Folder = Path("analysis"),
    seed: options.Seed = 0,
    config: Config = None,
    as_json: options.AsJson = False,
) -> None:
    """The geometry of two models on the same stimuli, with bootstrap intervals of differences."""
    from blackbox_am.analysis.geometry import compare_models

    catalogue = options.catalogue_of(config)
    given = arrays_of(probe, ("stimuli", "labels"))
    with closing(catalogue.oracle(first)) as one, closing(catalogue.oracle(second)) as other:
        result = compare_models(
            one,
            other,
            layer,
            given["stimuli"],
            given["labels"],
            other_layer=other_layer,
            resamples=resamples,
            seed=seed,
        )
        say(result, folder, as_json=as_json)


def components(
    layer: Layer,
    oracle: Oracle = "cifar_cnn",
    stimuli: Annotated[
        str,
        typer.Option(
            "--stimuli", help="A set of the catalogue, a folder of images, or a .npy file."
        ),
    ] = "shipped",
    k: Annotated[int, typer.Option("--components", "-k", min=1, help="Number of components.")] = 4,
    nmf: Annotated[
        bool, typer.Option("--nmf", help="NMF in place of PCA, for activations of 0 or more.")
    ] = False,
    folder: Folder = Path("analysis"),
    seed: options.Seed = 0,
    config: Config = None,
    as_json: options.AsJson = False,
) -> None:
    """The main directions of a layer's activations, by PCA or NMF."""
    from blackbox_am.analysis.geometry import components

    catalogue = options.catalogue_of(config)
    with closing(catalogue.oracle(oracle)) as model:
        shown = examples_of(stimuli, catalogue, model.describe().stimulus_shape)
        result = components(model, layer, shown, k=k, kind="nmf" if nmf else "pca", seed=seed)
        say(result, folder, as_json=as_json)
