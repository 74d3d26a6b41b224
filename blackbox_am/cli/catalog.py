"""`blackbox-am catalog ...`: lists the plug-ins and models of this installation or a server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from blackbox_am.cli import options
from blackbox_am.cli.connecting import connect, secured
from blackbox_am.cli.console import complain, out, plain, print_json
from blackbox_am.cli.options import catalogue_of
from blackbox_am.core.capability import in_words
from blackbox_am.core.listings import (
    GeneratorListing,
    MeasureListing,
    OptimizerListing,
    OracleListing,
    PlugInListing,
)
from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.core.units import Unit, find_layer, quoted
from blackbox_am.errors import NotFound, did_you_mean

app = typer.Typer(
    no_args_is_help=True,
    help="List optimizers, generators, oracles, objectives, criteria, transforms, measures and "
    "units.\n\n"
    "By default those of this installation; with --server those of a server.",
)

Server = Annotated[
    str | None, typer.Option("--server", "-s", help="List the entries of this server, host:port.")
]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file with your own [oracles] and [generators]."),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Exit with code 1 if an entry cannot be used.")
]
UNUSABLE = Text("cannot be used, see below", style="red")
Name = Annotated[str | None, typer.Argument(help="Show only this entry, with its parameters.")]


@app.command()
@secured
def optimizers(name: Name = None, server: Server = None, as_json: options.AsJson = False) -> None:
    """List optimizers and the latent spaces they search; with NAME the parameters of one."""
    if server is None:
        from blackbox_am import plugins
        from blackbox_am.catalogue import listing

        found = [listing.optimizer(each) for each in plugins.optimizers.names()]
    else:
        with connect(server) as client:
            found = client.optimizers()
    _show_plug_ins(found, name, as_json)


@app.command()
@secured
def objectives(name: Name = None, server: Server = None, as_json: options.AsJson = False) -> None:
    """List objectives, the functions of units that a study maximises; with NAME the parameters."""
    if server is None:
        from blackbox_am.catalogue import listing

        found = [listing.objective(each) for each in listing.objective_names()]
    else:
        with connect(server) as client:
            found = client.objectives()
    _show_plug_ins(found, name, as_json)


@app.command()
@secured
def criteria(name: Name = None, server: Server = None, as_json: options.AsJson = False) -> None:
    """List criteria, which end the search of a target at success; with NAME the parameters."""
    if server is None:
        from blackbox_am.catalogue import listing

        found = [listing.criterion(each) for each in listing.criterion_names()]
    else:
        with connect(server) as client:
            found = client.criteria()
    _show_plug_ins(found, name, as_json)


@app.command()
@secured
def transforms(name: Name = None, server: Server = None, as_json: options.AsJson = False) -> None:
    """List random transformations of stimuli; with NAME the parameters."""
    if server is None:
        from blackbox_am import plugins
        from blackbox_am.catalogue import listing

        found = [listing.transform(each) for each in plugins.transforms.names()]
    else:
        with connect(server) as client:
            found = client.transforms()
    _show_plug_ins(found, name, as_json)


@app.command()
@secured
def measures(name: Name = None, server: Server = None, as_json: options.AsJson = False) -> None:
    """List measures of the stimulus, quantities that stand beside the units of a model."""
    if server is None:
        from blackbox_am import plugins
        from blackbox_am.catalogue import listing

        found = [listing.measure(each) for each in plugins.measures.names()]
    else:
        with connect(server) as client:
            found = client.measures()
    _show_plug_ins(found, name, as_json)


@app.command()
@secured
def generators(
    server: Server = None,
    config: Config = None,
    strict: Strict = False,
    as_json: options.AsJson = False,
) -> None:
    """List generators with their latent spaces and stimulus shapes.

    `blackbox-am sample NAME --out grid.png` shows stimuli of one generator.
    """
    if server is None:
        from blackbox_am.catalogue import listing

        catalogue = catalogue_of(config)
        found = [
            listing.generator(name, catalogue.generator) for name in catalogue.generator_names()
        ]
    else:
        with connect(server) as client:
            found = client.generators()
    if as_json:
        _print_json(found)
        _refuse_broken(found, strict)
        return
    table = _table("generator", "latent space", "stimulus", "targets", "gradients", "licence", "")
    for entry in found:
        if entry.problem:
            table.add_row(entry.name, UNUSABLE)
            continue
        table.add_row(
            entry.name, _space(entry), _shape(entry.stimulus_shape),
            _targets(entry),
            "yes" if entry.differentiable else "no", entry.licence,
            _text(entry.summary, ""),
        )  # fmt: skip
    _show(table, {entry.name: entry.problem for entry in found})
    _refuse_broken(found, strict)


@app.command()
@secured
def oracles(
    server: Server = None,
    config: Config = None,
    strict: Strict = False,
    as_json: options.AsJson = False,
) -> None:
    """List oracles, the models that a study can measure, with their capabilities."""
    found = _oracles(server, config)
    if as_json:
        _print_json(found)
        _refuse_broken(found, strict)
        return
    table = _table("oracle", "kind", "wrapped in", "capabilities", "stimulus", "layers")
    for entry in found:
        if entry.info is None:
            table.add_row(entry.name, UNUSABLE)
            continue
        info = entry.info
        table.add_row(
            entry.name, info.kind, ", ".join(info.wrappers),
            in_words(info.capabilities).lower(),
            _shape(info.stimulus_shape), str(len(info.layers)),
        )  # fmt: skip
    _show(table, {entry.name: entry.problem for entry in found})
    _refuse_broken(found, strict)


@app.command()
@secured
def units(
    oracle: Annotated[str, typer.Argument(help="Name of an oracle.")],
    layer: Annotated[
        str | None, typer.Option("--layer", "-l", help="List the units of this layer.")
    ] = None,
    server: Server = None,
    config: Config = None,
    as_json: options.AsJson = False,
) -> None:
    """List the layers of a model, or with --layer the units of one layer.

    The address of a unit is layer:index, such as head:3. In a layer with feature maps,
    layer:index@center and layer:index@row,column address one position. In a layer of
    tokens, layer:index@cls and layer:index@token do. Each attention head is a layer.
    """
    found = {entry.name: entry for entry in _oracles(server, config)}
    if oracle not in found:
        raise NotFound(f"no oracle {oracle!r} in the catalogue{did_you_mean(oracle, found)}")
    info = found[oracle].info
    if info is None:
        raise NotFound(f"oracle {oracle!r} cannot be used: {found[oracle].problem}")
    if layer is None:
        _show_layers(info, as_json=as_json)
    else:
        # `find_layer` knows near names, and the reason where a layer cannot be read.
        _show_units(find_layer(info, Unit(layer)), as_json=as_json)


def _show_layers(info: OracleInfo, *, as_json: bool) -> None:
    if as_json:
        print_json(info.layers)
        return
    table = _table("layer", "kind", "units", "shape", "")
    for row in info.layers:
        side = "after its nonlinearity" if row.after_nonlinearity else ""
        name = quoted(row.name)
        table.add_row(name, row.kind, f"{row.units:,}", _shape(row.shape), _text(side, ""))
    out.print(table)
    for absent in info.unaddressable:
        plain(f"not addressable: {quoted(absent.name)}: {absent.reason}")
    for note in info.notes:
        plain(f"note: {note}")


def _show_units(layer: LayerInfo, *, as_json: bool) -> None:
    addresses = [str(Unit(layer.name, index)) for index in range(layer.units)]
    if as_json:
        print_json(addresses)
        return
    labels = layer.labels or ("",) * layer.units
    for address, label in zip(addresses, labels, strict=True):
        plain(f"{address}\t{label}" if label else address)


def _oracles(server: str | None, config: Path | None) -> list[OracleListing]:
    if server is None:
        from blackbox_am.catalogue import listing

        catalogue = catalogue_of(config)
        return [listing.oracle(name, catalogue.oracle) for name in catalogue.oracle_names()]
    with connect(server) as client:
        return client.oracles()


def _show_plug_ins(found: Sequence[PlugInListing], name: str | None, as_json: bool) -> None:
    if name is not None:
        chosen = [entry for entry in found if entry.name == name]
        if not chosen:
            near = did_you_mean(name, [entry.name for entry in found])
            raise NotFound(f"the catalogue has no entry {name!r}{near}")
        found = chosen
    if as_json:
        _print_json(found)
    elif name is None:
        _list_plug_ins(found)
    else:
        _describe(found[0])


def _list_plug_ins(found: Sequence[PlugInListing]) -> None:
    columns: list[str] = []
    if any(isinstance(entry, OptimizerListing) for entry in found):
        columns = ["order", "spaces"]
    elif any(isinstance(entry, MeasureListing) for entry in found):
        columns = ["quantities"]
    table = _table("name", *columns, "")
    for entry in found:
        cells: list[str] = []
        if isinstance(entry, OptimizerListing):
            cells = ["gradients" if entry.order else "scores", ", ".join(entry.spaces)]
        elif isinstance(entry, MeasureListing):
            cells = [", ".join(entry.quantities)]
        table.add_row(entry.name, *cells, _text(entry.summary, entry.problem))
    _show(table, {entry.name: entry.problem for entry in found})


def _describe(entry: PlugInListing) -> None:
    if entry.problem:
        _show(Text(entry.name, style="bold"), {entry.name: entry.problem})
        return
    out.print(Text(entry.name, style="bold"), _text(entry.summary, ""))
    properties: dict[str, Any] = entry.schema.get("properties", {})
    if not properties:
        out.print(Text("no parameters", style="dim"))
        return
    table = _table("parameter", "type", "default")
    for parameter, schema in properties.items():
        table.add_row(parameter, _type(schema), json.dumps(schema.get("default")))
    out.print(table)


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_type(part) for part in schema["anyOf"])
    return str(schema.get("type", "any"))


def _space(entry: GeneratorListing) -> str:
    return "" if entry.space is None else f"{entry.space.kind}, {entry.space.dimension:,}"


def _targets(entry: GeneratorListing) -> str:
    """The largest number of targets of a study with this generator."""
    if entry.space is None:
        return ""
    return "any" if entry.targets is None else f"{entry.targets:,}"


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(str(n) for n in shape)


def _text(summary: str, problem: str) -> Text:
    return UNUSABLE if problem else Text(summary, style="dim")


def _table(*columns: str) -> Table:
    table = Table(
        box=None, pad_edge=False, header_style="dim", expand="" in columns and out.is_terminal
    )
    for place, name in enumerate(columns):
        if name:
            table.add_column(name, no_wrap=place == 0)
        else:  # a summary, cut to the width of the terminal
            table.add_column(name, no_wrap=True, overflow="ellipsis", ratio=1)
    return table


def _show(shown: Table | Text, problems: dict[str, str]) -> None:
    """Print the list, and below it why some entries cannot be used."""
    out.print(shown)
    for name, problem in problems.items():
        if problem:
            out.print(Text(f"{name}: {problem}", style="red"), soft_wrap=True)


def _refuse_broken(found: Sequence[GeneratorListing | OracleListing], strict: bool) -> None:
    """End with an error if `strict` and an entry cannot be used."""
    broken = [entry.name for entry in found if entry.problem]
    if strict and broken:
        complain(f"{len(broken)} of {len(found)} entries cannot be used: {', '.join(broken)}")
        raise typer.Exit(1)


def _print_json(found: Sequence[Any]) -> None:
    print_json(found)
