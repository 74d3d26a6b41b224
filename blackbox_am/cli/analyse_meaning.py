"""`blackbox-am analyse dissect`, `clip-dissect`, `ablate` and `facets`: what units mean."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from blackbox_am.cli import options
from blackbox_am.cli.analyse_inputs import arrays_of, images_of, units_of
from blackbox_am.cli.analyse_options import Config, Folder, Oracle, Unit, say

Probe = Annotated[
    Path, typer.Option("--probe", help="A .npz file with the arrays that the method needs.")
]
Layer = Annotated[str, typer.Option("--layer", "-l", help="The layer whose units are labelled.")]
Quantile = Annotated[
    float, typer.Option("--quantile", help="Part of all positions at which a unit counts as on.")
]
Iou = Annotated[float, typer.Option("--iou", help="Intersection over union that a label needs.")]
Similarity = Annotated[
    str, typer.Option("--similarity", help="soft_wpmi, wpmi, cos_cubed or rank_reorder.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the group `analyse`."""
    for command in (dissect, clip_dissect, ablate, facets):
        app.command(command.__name__.replace("_", "-"))(command)


def dissect(
    probe: Probe,
    layer: Layer,
    oracle: Oracle = "cifar_cnn",
    quantile: Quantile = 0.005,
    least_iou: Iou = 0.04,
    folder: Folder = Path("analysis"),
    config: Config = None,
    as_json: options.AsJson = False,
) -> None:
    """Network Dissection: label the units of a layer by masks of concepts (needs maps).

    --probe has `stimuli` (N, *stimulus), `masks` (N, C, height, width) and `concepts`, C names.
    """
    from blackbox_am.analysis.meaning import dissect

    given = arrays_of(probe, ("stimuli", "masks", "concepts"))
    with closing(options.catalogue_of(config).oracle(oracle)) as model:
        names = given["concepts"].tolist()
        result = dissect(
            model,
            layer,
            given["stimuli"],
            given["masks"],
            names,
            quantile=quantile,
            least_iou=least_iou,
        )
        say(result, folder, as_json=as_json)


def clip_dissect(
    probe: Probe,
    layer: Layer,
    oracle: Oracle = "cifar_cnn",
    similarity: Similarity = "soft_wpmi",
    folder: Folder = Path("analysis"),
    config: Config = None,
    as_json: options.AsJson = False,
) -> None:
    """CLIP-Dissect: label the units of a layer by embeddings of images and texts.

    --probe has `stimuli` (N, *stimulus), their embeddings `images` (N, d), and `texts` (C, d) of
    `concepts`, C texts.
    """
    from blackbox_am.analysis.meaning import clip_dissect

    given = arrays_of(probe, ("stimuli", "images", "texts", "concepts"))
    with closing(options.catalogue_of(config).oracle(oracle)) as model:
        units = units_of(model.describe(), [], layer, 2**31)
        result = clip_dissect(
            model,
            units,
            given["stimuli"],
            given["images"],
            given["texts"],
            given["concepts"].tolist(),
            similarity=similarity,
        )
        say(result, folder, as_json=as_json)


def ablate(
    probe: Probe,
    unit: Annotated[list[str], typer.Option("--unit", "-u", help="A unit to silence; repeat it.")],
    scores: Annotated[str, typer.Option("--scores", help="The layer of class scores.")] = "head",
    oracle: Oracle = "cifar_cnn",
    folder: Folder = Path("analysis"),
    config: Config = None,
    as_json: options.AsJson = False,
) -> None:
    """What a classifier loses without each unit (needs interventions).

    --probe has `stimuli` (N, *stimulus) and their true `classes` (N,), numbers.
    """
    from blackbox_am.analysis.meaning import ablate

    given = arrays_of(probe, ("stimuli", "classes"))
    with closing(options.catalogue_of(config).oracle(oracle)) as model:
        result = ablate(model, unit, given["stimuli"], given["classes"], layer=scores)
        say(result, folder, as_json=as_json)


def facets(
    unit: Unit = "head:3",
    oracle: Oracle = "cifar_cnn",
    natural: Annotated[
        str, typer.Option("--natural", help="A set of the catalogue, or a folder of images.")
    ] = "shipped",
    k: Annotated[int, typer.Option("--facets", "-k", min=2, help="Number of facets.")] = 4,
    top: Annotated[int, typer.Option("--top", min=3, help="Images that are clustered.")] = 100,
    generator: Annotated[
        str | None,
        typer.Option("--generator", help="Search from each facet with this generator."),
    ] = None,
    folder: Folder = Path("analysis"),
    seed: options.Seed = 0,
    config: Config = None,
    as_json: options.AsJson = False,
) -> None:
    """The different kinds of natural images that excite a unit, and a search from each."""
    from blackbox_am.analysis.meaning import facets

    catalogue = options.catalogue_of(config)
    with closing(catalogue.oracle(oracle)) as model:
        shown = images_of(natural, catalogue, model.describe().stimulus_shape)
        made = None if generator is None else catalogue.generator(generator)
        result = facets(model, unit, np.asarray(shown), k=k, top=top, generator=made, seed=seed)
        say(result, folder, as_json=as_json)
