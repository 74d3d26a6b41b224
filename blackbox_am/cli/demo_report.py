"""The results of the demo: a table, two pictures, a summary file and a page of all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from blackbox_am.plots import Curve, Row, convergence, montage, save
from blackbox_am.reports import data_uri, render, write_page

Picture = NDArray[np.generic]

PAGE = "index.html"
NEXT_STEPS = (
    ("Search another unit", "blackbox-am run -t head:3 --out best.png"),
    ("See which units there are", "blackbox-am catalog units cifar_cnn"),
    ("Take a model of your own", "blackbox-am init model.onnx"),
    ("Keep a server running", "blackbox-am serve"),
    ("Watch its studies in a browser", "blackbox-am dashboard"),
    ("See where a unit looks", "blackbox-am analyse occlusion -u head:3 --image shipped:12"),
    ("Find what fools the classifier", "blackbox-am attack --help"),
)
"""What a reader may want after the demo, and the command that does it."""
_COLUMNS = ("unit", "natural max", "random best", "CMA-ES best", "queries")


@dataclass(frozen=True)
class Line:
    """One row of the demo's table.

    Attributes:
        unit: address of the unit.
        natural_max: activation for the natural image that excites the unit most.
        random_best: activation for the best of `queries` random stimuli.
        best: activation for the best stimulus of the search.
        queries: model evaluations that each of the two searches spent on the unit.
    """

    unit: str
    natural_max: float
    random_best: float
    best: float
    queries: int


@dataclass(frozen=True)
class Found:
    """All results of the demo; every sequence has one entry for each unit.

    Attributes:
        titles: addresses of the units, with the class name on a second line if there is one.
        lines: rows of the table.
        stimuli: best stimulus of the search.
        draws: best stimulus of the random search.
        naturals: natural image that excites the unit most.
        search: best score against queries, of the search.
        random: best score against queries, of the random search.
    """

    titles: Sequence[str]
    lines: Sequence[Line]
    stimuli: Sequence[Picture | None]
    draws: Sequence[Picture | None]
    naturals: Sequence[Picture | None]
    search: Sequence[Curve]
    random: Sequence[Curve]


def table(titles: Sequence[str], lines: Sequence[Line]) -> Table:
    """The lines as a table for the terminal; the better of the two searches is bold."""
    shown = Table(box=None, header_style="dim", pad_edge=False)
    shown.add_column(_COLUMNS[0], no_wrap=True)
    for name in _COLUMNS[1:]:
        shown.add_column(name, justify="right")
    for title, line in zip(titles, lines, strict=True):
        address, _, label = title.partition("\n")
        best, draw = Text(f"{line.best:.3f}"), Text(f"{line.random_best:.3f}")
        (best if line.best > line.random_best else draw).stylize("bold green")
        unit = Text.assemble(address, (f"  {label}", "dim"))
        shown.add_row(unit, f"{line.natural_max:.3f}", draw, best, f"{line.queries:,}")
    return shown


def write(found: Found, folder: Path) -> list[Path]:
    """Write montage.png, convergence.png, summary.json and index.html, which shows the others, into
    `folder`; returns their paths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    queries = max(line.queries for line in found.lines)
    pictures = montage(
        [
            Row("CMA-ES", found.stimuli, [line.best for line in found.lines]),
            Row("random\nsearch", found.draws, [line.random_best for line in found.lines]),
            Row("natural\nimage", found.naturals, [line.natural_max for line in found.lines]),
        ],
        found.titles,
        heading=f"What excites each unit most: {queries:,} queries, no gradients",
    )
    progress = convergence(
        {"CMA-ES": found.search, "random search": found.random},
        found.titles,
        levels=[line.natural_max for line in found.lines],
        heading="Best activation against queries spent",
    )
    summary = folder / "summary.json"
    summary.write_text(json.dumps([asdict(line) for line in found.lines], indent=2) + "\n", "utf-8")
    written = [
        save(pictures, folder / "montage.png"),
        save(progress, folder / "convergence.png"),
        summary,
    ]
    page = _page(found, written[0], written[1], queries)
    return [*written, write_page(folder / PAGE, page)]


def _page(found: Found, pictures: Path, progress: Path, queries: int) -> str:
    """The page of the demo, from the pictures that were drawn for it."""
    figures = (
        (pictures, "Best stimulus of the search, of random search, and the best natural image."),
        (progress, "Best activation against queries; the line is the best natural image."),
    )
    numbers = [
        (line.unit, *(f"{value:.3f}" for value in (line.natural_max, line.random_best, line.best)))
        for line in found.lines
    ]
    return render(
        "demo.html",
        title="What excites units of a classifier",
        lead=(
            f"CMA-ES searched the latent space of a generator for {len(found.lines)} units of the "
            f"shipped classifier, with {queries:,} queries each and without gradients. It asked "
            "the classifier through a server."
        ),
        figures=[{"uri": data_uri(path.read_bytes()), "text": text} for path, text in figures],
        columns=_COLUMNS,
        rows=[(*row, f"{line.queries:,}") for row, line in zip(numbers, found.lines, strict=True)],
        next_steps=NEXT_STEPS,
    )
