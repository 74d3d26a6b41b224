"""The history of a study as a table of rows, for pandas, xarray, CSV and Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.shown import ShownRows
from blackbox_am.core.types import StudyProgress
from blackbox_am.errors import MissingExtra

if TYPE_CHECKING:
    from blackbox_am.results.reported import Reported
    from blackbox_am.results.result import Result

PLACE = ("study_id", "generation", "target", "title", "row", "recheck", "score")
"""The first columns of each table of the history; one for each measured quantity follows."""


@dataclass(frozen=True)
class History:
    """The history of a study as columns of N rows.

    Attributes:
        study_id: the study.
        titles: for each target, its objective as text.
        quantities: for each target, the names of its quantities.
        generation, target, row: (N,) int64, the place of each candidate.
        recheck: (N,) bool, whether the row measured a best candidate again.
        score: (N,) float64.
        values: (N, U) float64; a row has the quantities of its own target, then nan.
        latents: (N, D); None without them.
        stimuli: (N, *stimulus); None without them.
    """

    study_id: str
    titles: tuple[str, ...]
    quantities: tuple[tuple[str, ...], ...]
    generation: NDArray[np.int64]
    target: NDArray[np.int64]
    row: NDArray[np.int64]
    recheck: NDArray[np.bool_]
    score: NDArray[np.float64]
    values: NDArray[np.float64]
    latents: NDArray[Any] | None = None
    stimuli: NDArray[Any] | None = None

    def columns(self) -> dict[str, Any]:
        """The columns of a table, by name, in order; with latents one for each coordinate."""
        found: dict[str, Any] = {
            "study_id": np.full(len(self.score), self.study_id, object),
            "generation": self.generation,
            "target": self.target,
            "title": np.array(self.titles or ("",), object)[self.target],
            "row": self.row,
            "recheck": self.recheck,
            "score": self.score,
        }
        for name in dict.fromkeys(name for names in self.quantities for name in names):
            found[self._column(name)] = self._of(name)
        latents = np.zeros((0, 0)) if self.latents is None else self.latents
        for place in range(latents.shape[1]):
            found[f"latent {place}"] = latents[:, place]
        return found

    def _column(self, name: str) -> str:
        return f"quantity {name}" if name in PLACE else name

    def _of(self, name: str) -> NDArray[np.float64]:
        """(N,) the values of one quantity, nan for targets that do not read it."""
        places = [names.index(name) if name in names else -1 for names in self.quantities]
        place = np.array(places, np.int64)[self.target]
        found = np.full(len(place), np.nan)
        mine = np.flatnonzero(place >= 0)
        found[mine] = self.values[mine, place[mine]]
        return found


def gathered(progress: StudyProgress, blocks: Iterator[ShownRows]) -> History:
    """All rows of `blocks`."""
    found = list(blocks)
    sizes = [len(block) for block in found]

    def joined(name: str, empty: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        parts = [getattr(block, name) for block in found]
        return np.concatenate(parts) if parts else np.zeros(empty, dtype)

    def each(name: str, dtype: Any) -> NDArray[Any]:
        return np.repeat(np.array([getattr(block, name) for block in found], dtype), sizes)

    with_latents = any(block.latents is not None for block in found)
    with_stimuli = any(block.stimuli is not None for block in found)
    return History(
        progress.study_id,
        tuple(target.title for target in progress.targets),
        found[0].quantities if found else ((),) * len(progress.targets),
        each("generation", np.int64),
        joined("targets", (0,), np.int64),
        joined("rows", (0,), np.int64),
        each("recheck", np.bool_),
        joined("scores", (0,), np.float64),
        joined("values", (0, 0), np.float64),
        joined("latents", (0, 0), np.float32) if with_latents else None,
        joined("stimuli", (0,), np.float32) if with_stimuli else None,
    )


def dataframe(reported: Reported) -> Any:
    """The history as a pandas DataFrame.

    Raises:
        MissingExtra: if pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtra.of("pandas", "results") from error
    return pd.DataFrame(gathered(reported.latest(), reported.blocks(latents=False)).columns())


def dataset(result: Result) -> Any:
    """The result as an xarray Dataset.

    Raises:
        MissingExtra: if xarray is not installed.
    """
    try:
        import xarray as xr
    except ImportError as error:
        raise MissingExtra.of("xarray", "results") from error
    targets = len(result.progress.targets)
    rows = max((part.scores.shape[1] for part in result.history), default=0)
    scores = np.full((len(result.history), targets, rows), np.nan)
    for place, part in enumerate(result.history):
        scores[place, list(part.targets), : part.scores.shape[1]] = part.scores
    arrays: dict[str, Any] = {
        "score": (("generation", "target", "row"), scores),
        "best_score": (("target",), _of_targets(result, targets, "score")),
    }
    if result.best:
        arrays["best_latent"] = (("target", "dimension"), _of_targets(result, targets, "latent"))
    if result.best and all(best.stimulus is not None for best in result.best):
        stimuli = _of_targets(result, targets, "stimulus")
        axes = [f"stimulus_{axis}" for axis in range(stimuli.ndim - 1)]
        arrays["best_stimulus"] = (("target", *axes), stimuli)
    return xr.Dataset(
        arrays,
        coords={
            "generation": [part.generation for part in result.history],
            "target": range(targets),
            "title": ("target", [target.title for target in result.progress.targets]),
        },
        attrs={"study_id": result.progress.study_id, "state": result.progress.state.value},
    )


def _of_targets(result: Result, targets: int, name: str) -> NDArray[Any]:
    """(targets, ...) a field of the best of each target; nan, or code 0, for targets without."""
    found = {best.target: np.asarray(getattr(best, name)) for best in result.best}
    first = next(iter(found.values()), np.zeros(()))
    whole = np.zeros((targets, *first.shape), first.dtype if found else np.float64)
    if whole.dtype.kind == "f":
        whole.fill(np.nan)
    for target, value in found.items():
        whole[target] = value
    return whole
