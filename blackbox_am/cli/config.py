"""`blackbox-am config ...`: checks a configuration file, and lists what a file can contain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blackbox_am.cli.console import complain, plain, print_json
from blackbox_am.errors import BlackboxError, NotFound, did_you_mean

if TYPE_CHECKING:
    from blackbox_am.catalogue import Catalogue

app = typer.Typer(
    no_args_is_help=True,
    help="Check a configuration file, and list what a file can contain.\n\n"
    "`blackbox-am init MODEL` writes a first file.",
)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="TOML file of `serve` and `run`.")],
    build: Annotated[
        bool,
        typer.Option(
            "--build/--no-build", help="Also load each model and generator of the file, or not."
        ),
    ] = True,
) -> None:
    """Check a configuration file: keys, values, environment variables, and every model in it.

    Exits with 2 if anything is wrong. Models behind an address are asked to describe themselves.

        blackbox-am config check models.toml
    """
    from blackbox_am.catalogue import SHIPPED
    from blackbox_am.service.config import load_config

    catalogue = load_config(file).catalogue
    oracles = _own(catalogue.oracle_names(), SHIPPED["oracles"])
    generators = _own(catalogue.generator_names(), SHIPPED["generators"])
    wrong = 0
    for noun, names in (("oracles", oracles), ("generators", generators)):
        for name in names:
            wrong += not _works(catalogue, noun, name) if build else 0
    if wrong:
        raise typer.Exit(2)
    entries = len(oracles) + len(generators)
    plain(f"{file}: correct; {entries} entries of its own{'' if build else ', not built'}")


def _own(names: list[str], shipped: dict[str, dict[str, object]]) -> list[str]:
    return [name for name in names if name not in shipped]


def _works(catalogue: Catalogue, noun: str, name: str) -> bool:
    """Builds one entry and prints what the entry is, or prints the error."""
    try:
        if noun == "oracles":
            info = catalogue.oracle(name).describe()
            what = f"stimuli {info.stimulus_shape}, {len(info.layers)} layers"
        else:
            generator = catalogue.generator(name)
            what = f"{generator.space.dim} latent dimensions, stimuli {generator.stimulus_shape}"
    except BlackboxError as error:
        complain(f"[{noun}.{name}] {error.message}")
        return False
    plain(f"[{noun}.{name}] {what}")
    return True


@app.command()
def reference(
    kind: Annotated[
        str | None, typer.Argument(help="Name of one kind, such as onnx; all tables without it.")
    ] = None,
) -> None:
    """Print every kind and key of the configuration, with type, default and meaning (Markdown).

    blackbox-am config reference onnx
    """
    from blackbox_am.service import config_reference

    lines = list(config_reference.reference(kind or ""))
    if not lines:
        near = did_you_mean(str(kind), config_reference.kinds())
        raise NotFound(f"no kind is called {kind!r}{near}; without a name all kinds are printed")
    for line in lines:
        plain(line)


@app.command()
def schema() -> None:
    """Print the JSON schema of the configuration, for editors that complete and check TOML.

    blackbox-am config schema > blackbox-am.schema.json

    A file whose first line is `#:schema ./blackbox-am.schema.json` is then checked by editors with
    taplo.
    """
    from blackbox_am.service import config_reference

    print_json(config_reference.schema())
