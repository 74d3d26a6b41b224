"""What `study` and `runs` do with results: export, plot and compare them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from blackbox_am.cli.console import note, out, print_json, wrote
from blackbox_am.errors import InvalidInput
from blackbox_am.results import Reported, Result
from blackbox_am.results.comparing import Line, left_out, lines_of, searches_of
from blackbox_am.results.figures import drawn_part
from blackbox_am.results.frames import gathered
from blackbox_am.results.saving import kept, writing


class HistoryFormat(enum.StrEnum):
    """The formats of a file of the history."""

    CSV = "csv"
    PARQUET = "parquet"
    NPZ = "npz"


class What(enum.StrEnum):
    """The figures of one study."""

    CONVERGENCE = "convergence"
    BEST = "best"
    SCORES = "scores"


Folder = Annotated[Path, typer.Option("--out", "-o", help="The folder to write into.")]
History = Annotated[
    HistoryFormat | None,
    typer.Option(
        "--history",
        help="Write only the history, as history.csv, .parquet or .npz in the folder: one row for "
        "each measured candidate.",
    ),
]
Latents = Annotated[
    bool | None,
    typer.Option(
        "--latents/--no-latents",
        help="Whether the history has all latents. By default it has them if the journal kept "
        "them; --latents also has latents proposed again, exactly as they were.",
    ),
]
Stimuli = Annotated[
    bool,
    typer.Option("--stimuli", help="With --history npz: render the stimulus of each row, too."),
]
Picture = Annotated[
    Path,
    typer.Option("--out", "-o", help="The picture to write: .png, .svg, .pdf, ..."),
]
Comparison = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Draw the curves into this picture: .png, .svg, .pdf, ..."),
]
Figure = Annotated[What, typer.Option("--what", help="What to draw.")]
Only = Annotated[
    list[int] | None,
    typer.Option("--target", "-t", min=0, help="Only this target, by its number. Repeatable."),
]


def export(
    reported: Reported,
    folder: Path,
    history: HistoryFormat | None,
    latents: bool | None,
    stimuli: bool,
) -> None:
    """Write a result, or only its history, into a folder."""
    if stimuli and history is not HistoryFormat.NPZ:
        raise InvalidInput("--stimuli: only npz has room for stimuli; add --history npz")
    if history is None:
        wrote(reported.save(folder, latents=latents))
        return
    from blackbox_am.results.tables import write_history

    result = reported.result()
    wanted = kept(result) if latents is None else latents
    found = gathered(result.progress, reported.blocks(latents=wanted, stimuli=stimuli))
    path = folder / f"history.{history.value}"
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        write_history(found, path)
    wrote(path)


def plot(result: Result, what: What, targets: list[int] | None, picture: Path) -> None:
    """Draw one figure of a result."""
    from blackbox_am.plots.saving import check_ending, save

    check_ending(picture)
    chosen = tuple(targets or ())
    if what is What.BEST:
        if not chosen and (part := drawn_part(result)):
            note(f"drawing the {part}; choose others with --target")
        axes = result.plot.best(targets=chosen)[0]
    elif what is What.CONVERGENCE:
        axes = result.plot.convergence(targets=chosen)
    elif len(chosen) > 1:
        raise InvalidInput("--what scores: draws one target; give one --target")
    else:
        axes = result.plot.scores(target=chosen[0] if chosen else 0)
    figure = axes.get_figure(root=True)
    assert figure is not None  # the figure was made with the axes
    wrote(save(figure, picture))


def compare(results: Mapping[str, Result], picture: Path | None, *, as_json: bool) -> None:
    """Print what several studies found, and draw their curves over each other."""
    if picture is not None:
        from blackbox_am.plots.saving import check_ending

        check_ending(picture)
    searches = searches_of(results)
    lines = list(lines_of(searches))
    if missing := left_out(searches):
        note(f"left out, as not all studies have these targets: {', '.join(missing)}")
    if as_json:
        print_json([line.plain() for line in lines])
    else:
        out.print(_table(lines))
    if picture is not None:
        from blackbox_am.plots.saving import save
        from blackbox_am.results.comparing_figure import comparison_figure

        wrote(save(comparison_figure(searches), picture))


def _table(lines: list[Line]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("target", no_wrap=True)
    table.add_column("search", no_wrap=True)
    for name in ("seeds", "best score", "95 % interval", "queries"):
        table.add_column(name, justify="right")
    compared = any(line.natural_ratio is not None for line in lines)
    if compared:
        table.add_column("x natural max", justify="right")
    before = ""
    for line in lines:
        interval = "-" if line.low is None else f"{line.low:,.4g} to {line.high:,.4g}"
        ratio = "-" if line.natural_ratio is None else f"{line.natural_ratio:.3g}"
        table.add_row(
            Text(line.target if line.target != before else ""),
            Text(line.search),
            f"{line.studies}",
            Text(f"{line.best_score:,.4g}", style="bold"),
            interval,
            f"{line.queries:,.0f}",
            *([ratio] if compared else []),
        )
        before = line.target
    return table
