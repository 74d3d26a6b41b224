"""`blackbox-am analyse ...`: the other methods of the field, on any oracle that can answer them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from blackbox_am.analysis.methods import ATTRIBUTION, BLACK_BOX
from blackbox_am.cli import (
    analyse_directions,
    analyse_geometry,
    analyse_meaning,
    analyse_synthesis,
    options,
)
from blackbox_am.cli.analyse_inputs import images_of, stimulus_of, units_of
from blackbox_am.cli.analyse_options import Config, Folder, Image, Oracle, Settings, Unit, say
from blackbox_am.cli.console import err
from blackbox_am.core.penalties import read_penalties
from blackbox_am.errors import InvalidInput

app = typer.Typer(
    no_args_is_help=True,
    help="Where a unit looks, what it depends on, and what it is.\n\n"
    "Each METHOD writes a page, data.npz and plot.png into a folder, and says what it cost.",
)


def _command_of(method: str) -> Callable[..., None]:
    def command(
        unit: Unit = "head:3",
        oracle: Oracle = "cifar_cnn",
        image: Image = "shipped:0",
        settings: Settings = None,
        folder: Folder = Path("analysis"),
        config: Config = None,
        as_json: options.AsJson = False,
    ) -> None:
        from blackbox_am.analysis import methods

        catalogue = options.catalogue_of(config)
        function = methods.attribution(method)
        given = methods.checked_settings(function, method, options.parameters_of(settings))
        with closing(catalogue.oracle(oracle)) as model:
            stimulus = stimulus_of(image, catalogue, model.describe().stimulus_shape)
            say(function(model, unit, stimulus, **given), folder, as_json=as_json)

    command.__doc__ = f"{ATTRIBUTION[method]}\n\nA map of one stimulus."
    return command


analyse_meaning.add_to(app)
analyse_directions.add_to(app)
analyse_geometry.add_to(app)
analyse_synthesis.add_to(app)
for _name in ATTRIBUTION:
    app.command(_name.replace("_", "-"))(_command_of(_name))


@app.command()
def maps(
    unit: Unit = "head:3",
    oracle: Oracle = "cifar_cnn",
    image: Image = "shipped:0",
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", "-m", help="A method to compare; repeat it. Without it, all black-box ones."
        ),
    ] = None,
    template: Annotated[
        Path | None,
        typer.Option(
            "--template", help="A .npy file of an AM result (*stimulus), compared as a map too."
        ),
    ] = None,
    folder: Folder = Path("analysis"),
    seed: options.Seed = 0,
    config: Config = None,
    as_json: options.AsJson = False,
) -> None:
    """Compare maps of one stimulus: rank correlation, overlap, deletion and insertion."""
    from blackbox_am.analysis import methods
    from blackbox_am.analysis.attribution import compare_maps, template_map
    from blackbox_am.core.pictures import array_in

    catalogue = options.catalogue_of(config)
    functions = [methods.attribution(name.replace("-", "_")) for name in method or BLACK_BOX]
    with closing(catalogue.oracle(oracle)) as model:
        stimulus = stimulus_of(image, catalogue, model.describe().stimulus_shape)
        found = [function(model, unit, stimulus) for function in functions]
        spent = sum((one.spent.rows for one in found), 0)
        if template is not None:
            found.append(template_map(array_in(template, "--template"), stimulus, unit=unit))
        result = compare_maps(model, unit, found, seed=seed)
        err.print(f"the maps themselves cost {spent:,} rows", highlight=False)
        say(result, folder, as_json=as_json)


@app.command()
def sobol(
    unit: Unit = "scores:0",
    oracle: Oracle = "cifar_cnn",
    generator: Annotated[
        str | None,
        typer.Option("--generator", help="Analyse the latents of this generator instead."),
    ] = None,
    names: Annotated[
        str | None, typer.Option("--names", help="Names of the inputs, with commas between.")
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option("--groups", help="The group of each input, with commas between."),
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", min=2, help="N, a power of 2; N x (inputs + 2) queries.")
    ] = 512,
    folder: Folder = Path("analysis"),
    seed: options.Seed = 0,
    config: Config = None,
    as_json: options.AsJson = False,
) -> None:
    """Sobol indices: which inputs of a model, or latents of a generator, a unit depends on.

    For cells of an image, take sobol-cells.
    """
    from blackbox_am.analysis import sensitivity

    catalogue = options.catalogue_of(config)
    given: dict[str, Any] = {
        "names": _listed(names), "groups": _listed(groups), "samples": samples, "seed": seed
    }  # fmt: skip
    with closing(catalogue.oracle(oracle)) as model:
        if generator is None:
            result = sensitivity.sobol(model, unit, **given)
        else:
            made = catalogue.generator(generator)
            result = sensitivity.sobol_latents(model, unit, made, **given)
        say(result, folder, as_json=as_json)


def _listed(text: str | None) -> list[str] | None:
    if text is None:
        return None
    found = [part.strip() for part in text.split(",")]
    if not all(found):
        raise InvalidInput(f"{text!r}: expected names with commas between, got an empty one")
    return found


@app.command()
def passport(
    unit: Annotated[
        list[str] | None,
        typer.Option("--unit", "-u", help="A unit, such as layer2:7; repeat it."),
    ] = None,
    layer: Annotated[
        str | None, typer.Option("--layer", "-l", help="Take units of this layer, from the first.")
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="Most units of the --layer.")] = 64,
    oracle: Oracle = "cifar_cnn",
    natural: Annotated[
        str, typer.Option("--natural", help="A set of the catalogue, or a folder of images.")
    ] = "shipped",
    generator: Annotated[
        str, typer.Option("--generator", help="What a search makes stimuli with, or none.")
    ] = "cifar_vae",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Number of searches.")] = 3,
    queries: Annotated[
        int, typer.Option("--queries", "-q", min=1, help="Queries of each unit and seed.")
    ] = 100,
    penalty: options.Penalties = None,
    folder: Folder = Path("passports"),
    config: Config = None,
    as_json: options.AsJson = False,
) -> None:
    """Passports: what excites each unit, its tuning, where it looks, and whether to trust it.

    Writes an index and one page a unit: top and bottom natural stimuli, histogram, tuning to
    orientation, frequency, position and colour, receptive field, search results of several seeds
    with their plausibility, and dead, saturated and duplicate units.
    """
    from blackbox_am.analysis.passport import passports

    catalogue = options.catalogue_of(config)
    with closing(catalogue.oracle(oracle)) as model:
        info = model.describe()
        units = units_of(info, unit or [], layer, most)
        shown = images_of(natural, catalogue, info.stimulus_shape)
        made = None if generator == "none" else catalogue.generator(generator)
        with err.status("measuring") as status:
            result = passports(
                model,
                units,
                shown,
                generator=made,
                seeds=range(seeds),
                queries=queries,
                penalties=read_penalties(penalty or []),
                on_part=status.update,
            )
        say(result, folder, as_json=as_json)
