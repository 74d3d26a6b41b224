"""The demo's client: a separate process that reaches the model only through the server."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.text import Text

from blackbox_am.cli.background import call, iterate
from blackbox_am.cli.console import err, out, wrote
from blackbox_am.cli.demo_report import Found, Line, Picture, table, write
from blackbox_am.cli.failures import INTERRUPTED
from blackbox_am.cli.progress import LiveView, Meter, gauge, state_text, wanted
from blackbox_am.cli.results import unit_title
from blackbox_am.client import Client, Study, connect
from blackbox_am.core.types import Best, StudyProgress, StudyState
from blackbox_am.errors import BlackboxError, NotFound
from blackbox_am.plots import curves

ORACLE = "cifar_cnn"
GENERATOR = "cifar_vae"
SEARCHES: dict[str, dict[str, Any]] = {
    "demo-cma": {"optimizer": "cma"},
    "demo-random": {"optimizer": "random", "parameters": {"population": 20}},
}

_REDRAW_SECONDS = 0.2
_CALL_SECONDS = 180.0
"""Time limit of a call: the server loads its models in the first calls."""


def search_and_report(
    server: str, units: Sequence[str], queries: int, seed: int, folder: Path
) -> None:
    """Create the demo's studies, show their progress, and write their results.

    Args:
        server: address of the server.
        units: addresses of the units to maximise.
        queries: model evaluations for each unit and search.
        seed: seed of both studies.
        folder: folder for the pictures and the table.

    Raises:
        BlackboxError: if the server or a study fails.
    """
    try:
        with connect(server, timeout=_CALL_SECONDS) as client:
            info = client.server_info()
            err.print(f"connected to blackbox-am {info.version} at {server}", style="dim")
            titles = _titles(client, units)
            naturals, images = _natural_activations(client, units)
            studies = [
                client.create(
                    targets=list(units),
                    oracle=ORACLE,
                    generator=GENERATOR,
                    **search,
                    queries_per_target=queries,
                    seed=seed,
                    study_id=study_id,
                )
                for study_id, search in SEARCHES.items()
            ]
            _follow(studies, titles, naturals.max(axis=0).tolist())
            found = _collect(studies, titles, naturals, images)
    except KeyboardInterrupt:
        err.print("\nstopped; the demo's store is deleted, so the next demo starts from zero")
        raise typer.Exit(INTERRUPTED) from None
    out.print(table(found.titles, found.lines))
    for path in write(found, folder):
        wrote(path)


def _titles(client: Client, units: Sequence[str]) -> list[str]:
    for listing in client.oracles():
        if listing.name == ORACLE and listing.info is not None:
            return [unit_title(unit, listing.info.layers) for unit in units]
    raise NotFound(f"the server has no oracle {ORACLE!r}; start it with the shipped catalogue")


def _natural_activations(
    client: Client, units: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Activations (N, U) of the shipped natural images, and those images (N, 3, 32, 32)."""
    from blackbox_am.zoo.loading import probe_images

    images = np.ascontiguousarray(probe_images()[0].transpose(0, 3, 1, 2))
    return call(lambda: client.observe(ORACLE, images, units)), images


def _follow(studies: Sequence[Study], titles: Sequence[str], naturals: Sequence[float]) -> None:
    """Show both studies in one table until they end.

    Raises:
        BlackboxError: if a study fails.
    """
    meter = Meter()
    latest: list[StudyProgress] = []
    with LiveView(out, keep=False) as view:
        for latest in iterate(_until_all_end(studies)):
            _draw(view, meter, latest, titles, naturals)
    for progress in latest:
        if progress.state is not StudyState.SUCCEEDED:
            raise BlackboxError(
                f"study {progress.study_id} {progress.state.value}: {progress.message}"
            )


def _until_all_end(studies: Sequence[Study]) -> Iterator[list[StudyProgress]]:
    """The progress of all studies, a few times a second; the last item is the final progress."""
    active = True
    while active:
        latest = [study.progress() for study in studies]
        active = any(progress.state.active for progress in latest)
        yield latest
        time.sleep(_REDRAW_SECONDS if active else 0)


def _draw(
    view: LiveView,
    meter: Meter,
    latest: Sequence[StudyProgress],
    titles: Sequence[str],
    naturals: Sequence[float],
) -> None:
    done = sum(progress.search_rows for progress in latest)
    total = sum(wanted(progress) for progress in latest)
    meter.add(done)
    head = Text("  ").join(
        Text.assemble(progress.study_id, " ", state_text(progress.state)) for progress in latest
    )
    shown: RenderableType = Group(
        head, gauge(done, total, meter.rate), _scores(latest, titles, naturals)
    )
    view.show(shown, f"{done:,} of {total:,} queries, {meter.rate:,.0f} queries/s")


def _scores(
    latest: Sequence[StudyProgress], titles: Sequence[str], naturals: Sequence[float]
) -> RenderableType:
    search, random = latest
    nan = float("nan")
    lines = [
        Line(
            found.title,
            natural,
            nan if drawn.best_score is None else drawn.best_score,
            nan if found.best_score is None else found.best_score,
            found.queries,
        )
        for found, drawn, natural in zip(search.targets, random.targets, naturals, strict=True)
    ]
    return table(titles, lines)


def _collect(
    studies: Sequence[Study],
    titles: Sequence[str],
    naturals: NDArray[np.float32],
    images: NDArray[np.uint8],
) -> Found:
    search, random = studies
    bests, draws = _by_target(search, len(titles)), _by_target(random, len(titles))
    spent = [target.queries for target in search.progress().targets]
    lines = [
        Line(
            title.partition("\n")[0],
            float(naturals[:, k].max()),
            draws[k].score,
            bests[k].score,
            spent[k],
        )
        for k, title in enumerate(titles)
    ]
    top: list[Picture] = [images[i] for i in naturals.argmax(axis=0)]
    return Found(
        titles=titles,
        lines=lines,
        stimuli=[best.stimulus for best in bests],
        draws=[best.stimulus for best in draws],
        naturals=top,
        search=curves(search.generations(), len(titles)),
        random=curves(random.generations(), len(titles)),
    )


def _by_target(study: Study, targets: int) -> list[Best]:
    """The best candidate of every target.

    Raises:
        BlackboxError: if all rows of a target failed.
    """
    found = {best.target: best for best in study.best(stimuli=True)}
    missing = [str(k) for k in range(targets) if k not in found]
    if missing:
        raise BlackboxError(
            f"study {study.id}: every measurement of targets {', '.join(missing)} failed; "
            "the server's log says why"
        )
    return [found[k] for k in range(targets)]
