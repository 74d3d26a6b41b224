"""The root command `blackbox-am`, with all commands and groups."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import typer

from blackbox_am.cli.console import plain
from blackbox_am.cli.failures import EXIT_CODES
from blackbox_am.cli.lazy import Entry, LazyGroup
from blackbox_am.version import __version__

_HERE = "blackbox_am.cli"


class Commands(LazyGroup):
    """The commands of `blackbox-am`."""

    entries: ClassVar[dict[str, Entry]] = {
        "run": Entry(f"{_HERE}.run:run", "Search here, without a server."),
        "init": Entry(f"{_HERE}.init:init", "Write a commented configuration for your model."),
        "serve": Entry(f"{_HERE}.serve:serve", "Serve oracles, generators and studies over gRPC."),
        "dashboard": Entry(
            f"{_HERE}.dashboard:dashboard",
            "Show a server's studies in a browser: live curves, best stimuli, comparisons, "
            "oracles.",
        ),
        "sample": Entry(f"{_HERE}.stimuli:sample", "Draw stimuli from a generator's prior."),
        "interpolate": Entry(
            f"{_HERE}.stimuli:interpolate",
            "Show stimuli between pairs of latents, to see whether the latent space is smooth.",
        ),
        "compare": Entry(
            f"{_HERE}.compare:compare",
            "Compare search methods, such as gradient ascent with gradient-free search.",
        ),
        "demo": Entry(
            f"{_HERE}.demo:demo",
            "Search units of the shipped classifier through a server, and draw the results.",
        ),
        "demo-client": Entry(
            f"{_HERE}.demo:client_half",
            "The client of the demo, which `blackbox-am demo` starts in another process.",
            hidden=True,
        ),
        "attack": Entry(
            f"{_HERE}.attack:app",
            "Find small changes of images that make a classifier answer wrongly; write a report.",
        ),
        "analyse": Entry(
            f"{_HERE}.analyse:app",
            "Where a unit looks, what it depends on, and what it is.",
        ),
        "study": Entry(f"{_HERE}.study:app", "Create, watch and steer studies on a server."),
        "runs": Entry(
            f"{_HERE}.runs:app",
            "Show and export the studies in a store on this machine; no server is needed.",
        ),
        "catalog": Entry(
            f"{_HERE}.catalog:app",
            "List optimizers, generators, oracles, objectives, criteria, transforms, measures and "
            "units.",
        ),
        "config": Entry(
            f"{_HERE}.config:app", "Check a configuration file, and list what a file can contain."
        ),
        "generators": Entry(f"{_HERE}.generators:app", "Fit generators to your own pictures."),
        "token": Entry(f"{_HERE}.token:app", "Make, list and revoke the tokens of callers."),
        "store": Entry(
            f"{_HERE}.store:app",
            "Check, export, import, compact and migrate a store on this machine or in PostgreSQL.",
        ),
        "doctor": Entry(
            f"{_HERE}.doctor:doctor",
            "Check this machine and a configuration: what may keep a server from working, and "
            "what to do.",
        ),
        "bench": Entry(
            "blackbox_am.bench.cli:app",
            "Benchmarks: every command prints a table of ratios to a baseline of the same run.",
        ),
    }


app = typer.Typer(
    cls=Commands,
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


def every_command() -> Any:
    """The root command with all commands imported, for pages and tests that walk through them."""
    root = typer.main.get_group(app)
    assert isinstance(root, Commands)
    for name in root.entries:
        root.loaded(name)
    return root
