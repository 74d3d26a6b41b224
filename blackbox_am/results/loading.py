"""A result from the folder that it was saved into."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from blackbox_am.core.natural import Standing
from blackbox_am.core.shown import ShownRows
from blackbox_am.core.spec import StudySpec
from blackbox_am.core.types import (
    Best,
    CandidateId,
    Estimate,
    GenerationScores,
    Recheck,
    StudyProgress,
)
from blackbox_am.errors import InvalidInput, NotFound, Unsupported
from blackbox_am.results.frames import History
from blackbox_am.results.provenance import Provenance
from blackbox_am.results.result import Result
from blackbox_am.results.saving import BEST, FORMAT, HISTORY, STUDY
from blackbox_am.results.tables import read_npz


def load(folder: Path | str) -> Result:
    """The result that `Result.save`, or `blackbox-am study export`, wrote into a folder.

    Its latents and stimuli are the saved ones, to the last bit. The specification in `spec` and a
    catalogue with the same models repeat the study: `blackbox_am.repeat(result.spec)`, or
    `create_from(result.spec)` of a client.

    Raises:
        NotFound: if the folder has no result.
        InvalidInput: if a file is damaged, or of a later version.
    """
    folder = Path(folder)
    file = folder / STUDY
    if not file.is_file():
        raise NotFound(
            f"{folder} has no saved result; expected a folder with {STUDY}, as save(folder) or "
            "blackbox-am study export writes"
        )
    try:
        plain = msgspec.json.decode(file.read_bytes())
        if plain.get("format") != FORMAT:
            raise InvalidInput(
                f"{file}: expected format {FORMAT!r}, got {plain.get('format')!r}; read it with "
                "the version of blackbox_am that wrote it"
            )
        return _result(plain, folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise InvalidInput(
            f"{folder} has a damaged result ({error}); save or export it again"
        ) from error


def _result(plain: dict[str, Any], folder: Path) -> Result:
    found = read_npz(folder / f"{HISTORY}.npz")
    for target in plain["progress"]["targets"]:
        _known(target["recheck"])
    return Result(
        msgspec.convert(plain["progress"], StudyProgress),
        _best(plain, folder),
        list(_generations(plain, found)),
        spec=None if plain["spec"] is None else msgspec.convert(plain["spec"], StudySpec),
        provenance=msgspec.convert(plain["provenance"], Provenance),
        notes=tuple(plain["notes"]),
        show_again=_Saved(found, plain["history"]["latents_missing"]),
    )


def _best(plain: dict[str, Any], folder: Path) -> list[Best]:
    with np.load(folder / BEST, allow_pickle=False) as arrays:
        return [
            Best(
                entry["target"],
                entry["title"],
                entry["score"],
                CandidateId(plain["study_id"], entry["generation"], entry["target"], entry["row"]),
                arrays["latent"][place],
                _of(arrays, "stimulus", entry["target"]),
                entry["natural"] and msgspec.convert(entry["natural"], Standing),
                _of(arrays, "natural_stimulus", entry["target"]),
                entry["recheck"] and msgspec.convert(_known(entry["recheck"]), Recheck),
                None if entry["values"] is None else np.array(entry["values"], np.float64),
            )
            for place, entry in enumerate(plain["best"])
        ]


def _known(recheck: dict[str, Any] | None) -> dict[str, Any] | None:
    """JSON has no nan: an estimate without a mean is one whose measurements all failed."""
    for estimate in filter(None, [(recheck or {}).get("row"), (recheck or {}).get("centre")]):
        if estimate["mean"] is None:
            estimate["mean"] = Estimate(float("nan")).mean
    return recheck


def _of(arrays: Any, name: str, target: int) -> Any:
    if name not in arrays or target not in arrays[f"{name}_target"]:
        return None
    return arrays[name][arrays[f"{name}_target"].tolist().index(target)]


def _generations(plain: dict[str, Any], found: History) -> Iterator[GenerationScores]:
    """The scores of each closed generation, from the rows of the search."""
    starts = np.searchsorted(found.generation, [e["generation"] for e in plain["generations"]])
    ends = np.searchsorted(
        found.generation, [e["generation"] for e in plain["generations"]], side="right"
    )
    for entry, start, end in zip(plain["generations"], starts, ends, strict=True):
        scores = np.full((len(entry["targets"]), entry["rows"]), np.nan)
        places = np.searchsorted(entry["targets"], found.target[start:end])
        scores[places, found.row[start:end]] = found.score[start:end]
        yield GenerationScores(
            entry["generation"], tuple(entry["targets"]), scores, entry["seconds"]
        )


class _Saved:
    """Shows again what was saved."""

    def __init__(self, found: History, missing: str) -> None:
        self._found, self._missing = found, missing

    def __call__(
        self, latents: bool, stimuli: bool, targets: tuple[int, ...]
    ) -> Iterator[ShownRows]:
        found = self._found
        if stimuli:
            raise Unsupported(
                "a saved result has the best stimuli only; take the study from its store, or "
                "render the latents with the generator"
            )
        if latents and found.latents is None:
            raise Unsupported(
                f"this result was saved without the latents of its rows: {self._missing}"
            )
        for generation in np.unique(found.generation):
            mine = np.flatnonzero(found.generation == generation)
            if targets:
                mine = mine[np.isin(found.target[mine], targets)]
            if len(mine):
                yield self._rows(mine, latents=latents)

    def _rows(self, mine: Any, *, latents: bool) -> ShownRows:
        found = self._found
        rows = ShownRows(
            found.study_id,
            int(found.generation[mine[0]]),
            found.quantities,
            found.target[mine],
            found.row[mine],
            found.score[mine],
            found.values[mine],
            recheck=bool(found.recheck[mine[0]]),
        )
        if not latents or found.latents is None:
            return rows
        return replace(rows, latents=found.latents[mine])
