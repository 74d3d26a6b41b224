"""The `bench` commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from blackbox_am.bench import measurement

app = typer.Typer(
    no_args_is_help=True,
    help="Measure: every command prints a table of ratios against a baseline of the same run.",
)

console = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """Tells what is being measured. A spinner would take part in the measurement."""
    console.print(text, style="dim")


JsonFile = Annotated[Path | None, typer.Option("--json", help="Also write the table to this file.")]


@app.command()
def loop(
    generations: Annotated[int, typer.Option(help="Generations of (a).", min=2)] = 24,
    repeats: Annotated[int, typer.Option(help="Studies of each kind in (b).", min=1)] = 12,
    seconds: Annotated[float, typer.Option(help="For each rate of (c).", min=0.1)] = 10.0,
    json_file: JsonFile = None,
) -> None:
    """What a study costs beside the model: the loop, the wire, ask and tell.

    (a) whole study over oracle + generator alone; (b) over loopback against in process;
    (c) candidates a second through ask and tell, durable.
    """
    from blackbox_am.bench import loop as bench

    lines = [
        bench.study_overhead(generations, say),
        bench.wire_overhead(repeats, 6, say),
        bench.ask_tell_rate(512, seconds, say),
        bench.ask_tell_rate(4096, seconds, say),
    ]
    title = f"bench loop: K·P = 256 rows a generation, {bench.threads()} threads"
    measurement.show(title, lines, json_file)


@app.command()
def kill(
    kills: Annotated[int, typer.Option(help="How often the server is killed.", min=1)] = 20,
    queries: Annotated[int, typer.Option(help="Queries of each of four targets.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 0,
    json_file: JsonFile = None,
) -> None:
    """Kill the server at random moments; the end must be bit-identical to a study left alone."""
    from blackbox_am.bench import kill as bench

    lines = bench.kill(kills, queries, seed, say)
    measurement.show(f"bench kill: SIGKILL x {kills}", lines, json_file)
