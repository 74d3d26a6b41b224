"""Files of the history of a study: CSV, Parquet and NumPy's npz."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_am.errors import InvalidInput, MissingExtra, did_you_mean
from blackbox_am.results.frames import History

CSV, PARQUET, NPZ = ".csv", ".parquet", ".npz"
FORMATS = ("csv", "npz", "parquet")
"""Formats of the history by the ending of its file."""


def write_history(found: History, path: Path) -> None:
    """Writes the history in the format of the file's ending. Only npz has latents and stimuli.

    Raises:
        InvalidInput: for another ending.
        MissingExtra: for Parquet without pyarrow.
    """
    ending = path.suffix.lower()
    if ending == CSV:
        write_csv(found, path)
    elif ending == PARQUET:
        write_parquet(found, path, required=True)
    elif ending == NPZ:
        write_npz(found, path)
    else:
        raise InvalidInput(
            f"{path}: expected a name that ends in .csv, .parquet or .npz, got {path.suffix!r}"
            f"{did_you_mean(ending.removeprefix('.'), FORMATS)}"
        )


def write_csv(found: History, path: Path) -> None:
    """Writes one line for each row. A number that does not exist is empty; a failed measurement
    has an empty score.
    """
    columns = found.columns()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        lists = [_cells(values) for values in columns.values()]
        writer.writerows(zip(*lists, strict=True))


def write_parquet(found: History, path: Path, *, required: bool) -> bool:
    """Writes the table, or removes that of an earlier result if pyarrow is not installed.

    Returns:
        Whether the table was written.

    Raises:
        MissingExtra: if pyarrow is not installed and the table is required.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        if required:
            raise MissingExtra.of("pyarrow", "results") from error
        path.unlink(missing_ok=True)
        return False
    columns = {name: _plain(values) for name, values in found.columns().items()}
    pq.write_table(pa.table(columns), path)
    return True


def write_npz(found: History, path: Path) -> None:
    """Writes the arrays of the history; `titles` and `quantities` are JSON texts of the targets."""
    arrays: dict[str, Any] = {
        "study_id": np.array(found.study_id),
        "titles": np.array(json.dumps(found.titles)),
        "quantities": np.array(json.dumps(found.quantities)),
        "generation": found.generation,
        "target": found.target,
        "row": found.row,
        "recheck": found.recheck,
        "score": found.score,
        "values": found.values,
    }
    if found.latents is not None:
        arrays["latents"] = found.latents
    if found.stimuli is not None:
        arrays["stimuli"] = found.stimuli
    np.savez_compressed(path, **arrays)


def read_npz(path: Path) -> History:
    """The history that `write_npz` wrote.

    Raises:
        OSError, ValueError, KeyError: if the file cannot be read.
    """
    with np.load(path, allow_pickle=False) as arrays:
        return History(
            str(arrays["study_id"]),
            tuple(json.loads(str(arrays["titles"]))),
            tuple(tuple(names) for names in json.loads(str(arrays["quantities"]))),
            arrays["generation"],
            arrays["target"],
            arrays["row"],
            arrays["recheck"],
            arrays["score"],
            arrays["values"],
            arrays.get("latents"),
            arrays.get("stimuli"),
        )


def _cells(values: Any) -> list[Any]:
    plain = values.tolist()
    if values.dtype.kind != "f":
        return list(plain)
    return ["" if math.isnan(value) else repr(value) for value in plain]


def _plain(values: Any) -> Any:
    return values.tolist() if values.dtype == object else values
