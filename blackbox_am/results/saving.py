"""A result as a folder of files, from which it can be read and reproduced."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from blackbox_am.core.natural import Standing
from blackbox_am.core.spec import ArrayData
from blackbox_am.core.types import Best
from blackbox_am.errors import InvalidInput
from blackbox_am.results.frames import History, gathered
from blackbox_am.results.pictures import picture_png
from blackbox_am.results.tables import CSV, PARQUET, write_csv, write_npz, write_parquet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from blackbox_am.results.reported import Reported
    from blackbox_am.results.result import Result

FORMAT = "blackbox_am.result/1"
STUDY, BEST, HISTORY = "study.json", "best.npz", "history"

_NAME_CHARACTERS = 60


def save(reported: Reported, folder: Path, latents: bool | None) -> Path:
    """Writes the result into `folder`; see `Reported.save`."""
    result = reported.result()
    check_folder(folder, result.progress.study_id)
    wanted = kept(result) if latents is None else latents
    found = gathered(result.progress, reported.blocks(latents=wanted))
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".saving-", dir=folder) as name:
            _write(result, found, Path(name))
            _move(Path(name), folder)
    return folder


def _write(result: Result, found: History, folder: Path) -> None:
    names = [_write_picture(best, folder) for best in result.best]
    np.savez_compressed(folder / BEST, **_best_arrays(result))
    write_npz(found, folder / f"{HISTORY}.npz")
    table = replace(found, latents=None)
    write_csv(table, folder / f"{HISTORY}{CSV}")
    parquet = write_parquet(table, folder / f"{HISTORY}{PARQUET}", required=False)
    _write_figures(result, folder)
    plain = _plain(result, names, found, parquet=parquet)
    body = msgspec.json.format(msgspec.json.encode(plain), indent=2)
    (folder / STUDY).write_bytes(body + b"\n")


def _move(source: Path, folder: Path) -> None:
    """Replaces the result in `folder`. An interrupted move leaves no `study.json`, so no result."""
    (folder / STUDY).unlink(missing_ok=True)
    (folder / f"{HISTORY}{PARQUET}").unlink(missing_ok=True)
    for path in sorted(source.iterdir(), key=lambda path: path.name == STUDY):  # study.json last
        path.replace(folder / path.name)


def kept(result: Result) -> bool:
    """Whether the journal has all latents, so that giving them needs no replay."""
    spec = result.spec
    return spec is not None and (spec.keep_latents == "all" or spec.oracle is None)


def check_folder(folder: Path, study_id: str) -> None:
    """Refuses a folder that has the result of another study.

    Raises:
        InvalidInput: if it has, or if it has a `study.json` that cannot be read.
    """
    file = folder / STUDY
    try:
        other = msgspec.json.decode(file.read_bytes(), type=dict[str, Any]).get("study_id", "")
    except (FileNotFoundError, NotADirectoryError):
        return  # no folder, or no result in it
    except (OSError, msgspec.DecodeError) as error:
        raise InvalidInput(
            f"{file} cannot be read ({error}), so it may be the result of another study; choose "
            "another folder, or delete the file"
        ) from error
    if other != study_id:
        raise InvalidInput(
            f"{folder} has the result of study {other!r}; choose another folder for {study_id!r}"
        )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns a failure to write into an error of this package.

    Raises:
        InvalidInput: if a file cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be written: {error.strerror}; choose another place"
        ) from error


def _write_picture(best: Best, folder: Path) -> str:
    """Writes the picture of a best stimulus; returns its name, empty without a stimulus."""
    if best.stimulus is None:
        return ""
    title = re.sub(r"[^\w.-]+", "_", best.title).strip("_")[:_NAME_CHARACTERS]
    name = f"{best.target:03d}_{title}.png"
    (folder / name).write_bytes(picture_png(best.stimulus))
    return name


def _best_arrays(result: Result) -> dict[str, Any]:
    """Latents and stimuli of the best candidates; (B,) `target` says of which targets."""
    arrays: dict[str, Any] = {
        "target": np.array([best.target for best in result.best], np.int64),
        "score": np.array([best.score for best in result.best], np.float64),
    }
    if result.best:
        arrays["latent"] = np.stack([best.latent for best in result.best])
    for name in ("stimulus", "natural_stimulus"):
        given = [best for best in result.best if getattr(best, name) is not None]
        if given:
            arrays[name] = np.stack([getattr(best, name) for best in given])
            arrays[f"{name}_target"] = np.array([best.target for best in given], np.int64)
    return arrays


def _write_figures(result: Result, folder: Path) -> None:
    from blackbox_am.plots.saving import save as save_figure

    if any(best.stimulus is not None for best in result.best):
        save_figure(_figure_of(result.plot.best()[0]), folder / "best.svg")
    if any(part.scores.size for part in result.history):
        save_figure(_figure_of(result.plot.convergence()), folder / "convergence.svg")


def _figure_of(axes: Axes) -> Figure:
    figure = axes.get_figure(root=True)
    assert figure is not None  # the figure was made with the axes
    return figure


def _plain(result: Result, names: list[str], found: History, *, parquet: bool) -> dict[str, Any]:
    """The content of `study.json`."""
    progress = result.progress
    why = (
        ""
        if found.latents is not None
        else (
            "the journal keeps the best latents only; save with latents=True to have them proposed "
            "again, or create studies with keep_latents='all'"
        )
    )
    return {
        "format": FORMAT,
        "study_id": progress.study_id,
        "progress": {
            **asdict(progress),
            "state": progress.state.value,
            "stop_reason": progress.stop_reason.value,
            "targets": [
                {**asdict(target), "stop_reason": target.stop_reason.value}
                for target in progress.targets
            ],
        },
        "spec": _whole(result.spec),
        "provenance": asdict(result.provenance)
        | {"optimizer": _whole(result.provenance.optimizer)},
        "best": [
            {
                "target": best.target,
                "title": best.title,
                "score": best.score,
                "generation": best.candidate.generation,
                "row": best.candidate.row,
                "picture": name,
                "natural": _standing(best.natural),
                "recheck": best.recheck and asdict(best.recheck),
                "values": None if best.values is None else best.values.tolist(),
            }
            for best, name in zip(result.best, names, strict=True)
        ],
        "generations": [
            {
                "generation": part.generation,
                "targets": list(part.targets),
                "rows": part.scores.shape[1],
                "seconds": part.seconds,
            }
            for part in result.history
        ],
        "history": {
            "rows": len(found.score),
            "quantities": [list(names) for names in found.quantities],
            "latents": found.latents is not None,
            "latents_missing": why,
            "parquet": parquet,
        },
        "notes": list(result.notes),
    }


def _whole(spec: Any) -> Any:
    """A specification as plain data with every field, also those that have their default, which a
    later version could have changed.
    """
    if isinstance(spec, ArrayData):
        return spec
    if isinstance(spec, msgspec.Struct):
        return {name: _whole(value) for name, value in msgspec.structs.asdict(spec).items()}
    if isinstance(spec, (list, tuple)):
        return [_whole(value) for value in spec]
    return spec


def _standing(place: Standing | None) -> dict[str, Any] | None:
    return None if place is None else asdict(place)
