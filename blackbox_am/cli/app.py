"""The root command `blackbox-am`, with all commands and groups."""

from __future__ import annotations

from typing import Annotated

import typer

from blackbox_am.bench.cli import app as bench
from blackbox_am.cli import analyse, attack, catalog, config, generators, runs, study, token
from blackbox_am.cli.compare import compare
from blackbox_am.cli.console import plain
from blackbox_am.cli.dashboard import dashboard
from blackbox_am.cli.demo import client_half, demo
from blackbox_am.cli.failures import EXIT_CODES, Group
from blackbox_am.cli.init import init
from blackbox_am.cli.run import run
from blackbox_am.cli.serve import serve
from blackbox_am.cli.stimuli import interpolate, sample
from blackbox_am.version import __version__

app = typer.Typer(
    cls=Group,
    name="blackbox-am",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    epilog=EXIT_CODES,
)


def _show_version(asked: bool) -> None:
    if asked:
        plain(f"blackbox-am {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[  # read by Group
        bool,
        typer.Option("--debug", envvar="BLACKBOX_AM_DEBUG", help="Show tracebacks of errors."),
    ] = False,
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Find what any unit of any model responds to, without gradients.

    An oracle is a model: it takes stimuli and returns activations. A generator turns points
    of its latent space into stimuli. An optimizer searches the latent space for the stimulus
    that excites a unit most. A study is one search with its whole history.

    In this process:

        blackbox-am run -t head:3 -t head:5 --out best.png

    On a server:

        blackbox-am serve
        blackbox-am study create --oracle cifar_cnn -t head:3 --watch
    """


@app.command()
def version() -> None:
    """Print the version."""
    plain(f"blackbox-am {__version__}")


app.command()(run)
app.command()(init)
app.command()(serve)
app.command()(dashboard)
app.command()(sample)
app.command()(interpolate)
app.command()(compare)
app.command()(demo)
app.command("demo-client", hidden=True)(client_half)
app.add_typer(analyse.app, name="analyse")
app.add_typer(attack.app, name="attack")
app.add_typer(study.app, name="study")
app.add_typer(runs.app, name="runs")
app.add_typer(catalog.app, name="catalog")
app.add_typer(config.app, name="config")
app.add_typer(generators.app, name="generators")
app.add_typer(token.app, name="token")
app.add_typer(bench, name="bench")
