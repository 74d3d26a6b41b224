"""The report of an attack: a folder with a page for people and files for programs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from blackbox_am import plugins
from blackbox_am.attacks.report.audit import audit, flags_of
from blackbox_am.attacks.report.figures import confusion_figure, query_figures, robustness_figure
from blackbox_am.attacks.report.flags import Flag, masked_gradients, randomised, score_flags
from blackbox_am.attacks.report.gallery import (
    Gallery,
    amplification,
    card,
    chosen,
    kind_of,
    whole_pictures,
)
from blackbox_am.attacks.report.page import Content, page
from blackbox_am.attacks.report.summaries import (
    FORMAT,
    Summary,
    encode_rows,
    encode_summary,
    rows_of,
    summary_of,
    write_parquet,
)
from blackbox_am.attacks.report.wording import titles_of
from blackbox_am.attacks.results import AttackResult, Outcome
from blackbox_am.errors import InvalidInput
from blackbox_am.reports import data_uri, figure_svg

PAGE, ROWS, SUMMARY, PARQUET = "index.html", "rows.csv", "summary.json", "rows.parquet"
_OURS = re.compile(r"(pictures/[\d-]+-(clean|adversarial|difference)\.png|adversarial[\d-]*\.npz"
                   r"|figures/[a-z]+[\d-]*\.svg)")  # fmt: skip
"""Files of an earlier report in the same folder, which are removed."""


def write_report(
    results: Sequence[AttackResult],
    folder: Path | str,
    *,
    title: str = "",
    flags: Sequence[Flag] = (),
    cards: int = 24,
    pictures: int = 100,
) -> Path:
    """Write the report of one or several results into `folder`.

    ====================  ==================================================================
    file                  content
    ====================  ==================================================================
    `index.html`          the page: numbers, figures, gallery, audit, identity; needs no
                          other file
    `rows.csv`            one line for each input of each result; `rows.parquet` too if the
                          package pyarrow is installed
    `summary.json`        all numbers of the page
    `adversarial.npz`     the inputs as they were stored: `clean`, `adversarial`, `labels`,
                          `targets` (-1 if there is none), `index`, `success`; with several
                          results `adversarial-1.npz` and so on
    `pictures/*.png`      clean, adversarial and amplified difference of pictures, full size
    `figures/*.svg`       the figures of the page
    ====================  ==================================================================

    Files of an earlier report in the folder are replaced. The page is written last.

    Args:
        results: the results: several attacks, or one attack in balls of several sizes.
        folder: the folder; created if it is missing.
        title: title of the page; attack and oracle if empty.
        flags: reasons to doubt the numbers that the results do not show.
        cards: greatest number of inputs in the gallery, shared by all results.
        pictures: greatest number of inputs of each result whose pictures are written.

    Returns:
        The path of the page.

    Raises:
        InvalidInput: without a result, for arrays that do not fit the inputs, or if the folder
            cannot be written.
    """
    if not results:
        raise InvalidInput("a report needs at least one result")
    folder = Path(folder)
    try:
        return _write(results, folder, title or _title(results), flags, cards, pictures)
    except OSError as error:
        raise InvalidInput(
            f"the report cannot be written to {folder}: {error.strerror}; choose another folder"
        ) from error


def _write(
    results: Sequence[AttackResult],
    folder: Path,
    title: str,
    flags: Sequence[Flag],
    cards: int,
    pictures: int,
) -> Path:
    titles = titles_of(results)
    arrays = _numbered(results, "adversarial", ".npz")
    found = [
        [*flags_of(audit(result)), *_repeats(result), *_scores(result), *_warnings(result)]
        for result in results
    ]
    common = [*_masking(results), *flags]
    summaries = [
        summary_of(result, name, [*own, *common], file)
        for result, name, own, file in zip(results, titles, found, arrays, strict=True)
    ]
    _prepare(folder)
    for result, name in zip(results, arrays, strict=True):
        _write_arrays(result, folder / name)
    rows = [row for place, result in enumerate(results) for row in rows_of(result, place)]
    (folder / ROWS).write_bytes(encode_rows(rows))
    parquet = write_parquet(rows, folder / PARQUET)
    (folder / SUMMARY).write_bytes(encode_summary(Summary(FORMAT, title, tuple(summaries))))
    galleries = [
        _write_gallery(result, folder, prefix, -(-cards // len(results)), pictures)
        for result, prefix in zip(results, _numbered(results, "", "-"), strict=True)
    ]
    confusions = [confusion_figure(result) for result in results]
    names = _numbered(results, "confusion", "")
    content = Content(
        title=title,
        results=results,
        summaries=summaries,
        flags=sorted([*common, *_titled(found, titles)], key=lambda flag: not flag.severe),
        figures={
            name: _write_figure(figure, folder, name)
            for name, figure in _figures(results, titles).items()
        },
        confusions=[
            None if figure is None else _write_figure(figure, folder, name)
            for figure, name in zip(confusions, names, strict=True)
        ],
        galleries=galleries,
        files=_files(arrays, parquet, any(gallery.files for gallery in galleries)),
    )
    (folder / PAGE).write_text(page(content), "utf-8")
    return folder / PAGE


def _title(results: Sequence[AttackResult]) -> str:
    attacks = ", ".join(dict.fromkeys(result.attack for result in results))
    oracles = ", ".join(dict.fromkeys(result.oracle for result in results))
    return f"Attack report: {attacks} on {oracles}"


def _numbered(results: Sequence[AttackResult], stem: str, ending: str) -> list[str]:
    """A name for each result; without a number if there is only one."""
    if len(results) == 1:
        return [f"{stem}{ending}" if stem else ""]
    dash = "-" if stem else ""
    return [f"{stem}{dash}{place}{ending}" for place in range(1, len(results) + 1)]


def _scores(result: AttackResult) -> tuple[Flag, ...]:
    return () if result.scores is None else score_flags(result.scores)


def _repeats(result: AttackResult) -> list[Flag]:
    flag = None if result.repeated is None else randomised(result.repeated)
    return [] if flag is None else [flag]


def _warnings(result: AttackResult) -> list[Flag]:
    return [Flag("warning", warning, severe=False) for warning in result.warnings]


def _masking(results: Sequence[AttackResult]) -> list[Flag]:
    """The flags of all pairs of an attack without and an attack with gradients."""
    white = [result for result in results if _uses_gradients(result)]
    black = [result for result in results if not _uses_gradients(result)]
    found = []
    for one in black:
        for other in white:
            try:
                found.append(masked_gradients(one, other))
            except InvalidInput:  # another threat model, or other inputs
                continue
    return [flag for flag in found if flag is not None]


def _uses_gradients(result: AttackResult) -> bool:
    """Whether an attack, or one of an ensemble, knows gradients."""
    for name in result.attack.split(" + "):
        with suppress(InvalidInput):  # an attack that is no plug-in here
            if plugins.optimizers.get(name).order > 0:
                return True
    return False


def _titled(found: Sequence[Sequence[Flag]], titles: Sequence[str]) -> list[Flag]:
    """The flags of all results, with the title of the result if there are several."""
    if len(titles) == 1:
        return list(found[0])
    return [
        replace(flag, text=f"{title}: {flag.text}")
        for title, own in zip(titles, found, strict=True)
        for flag in own
    ]


def _prepare(folder: Path) -> None:
    """Create the folder and remove the files of an earlier report; the page first."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name in (PAGE, PARQUET):
        (folder / name).unlink(missing_ok=True)
    for path in [*folder.glob("*.npz"), *folder.glob("*/*.png"), *folder.glob("*/*.svg")]:
        if _OURS.fullmatch(path.relative_to(folder).as_posix()):
            path.unlink()


def _write_arrays(result: AttackResult, path: Path) -> None:
    def numbers(name: str) -> NDArray[np.int64]:
        values = [getattr(one, name) for one in result.inputs]
        return np.asarray([-1 if value is None else value for value in values], np.int64)

    np.savez_compressed(
        path,
        clean=result.clean,
        adversarial=result.adversarial,
        labels=numbers("label"),
        targets=numbers("target"),
        index=numbers("index"),
        success=np.asarray([one.outcome is Outcome.SUCCESS for one in result.inputs]),
    )


def _write_gallery(
    result: AttackResult, folder: Path, prefix: str, cards: int, pictures: int
) -> Gallery:
    shown = chosen(result, cards)
    factor = amplification(result, shown)
    files = []
    if kind_of(result.clean.shape[1:]) == "picture":
        files = list(dict.fromkeys([*shown, *chosen(result, pictures)]))[: max(cards, pictures)]
        (folder / "pictures").mkdir(exist_ok=True)
    for row in files:
        name = f"{prefix}{result.inputs[row].index:04d}"
        for part, body in whole_pictures(result, row, factor).items():
            (folder / "pictures" / f"{name}-{part}.png").write_bytes(body)
    return Gallery(tuple(card(result, row, factor) for row in shown), factor, len(files))


def _figures(results: Sequence[AttackResult], titles: Sequence[str]) -> dict[str, Figure]:
    found = query_figures(results, titles)
    against_eps = robustness_figure(results)
    if against_eps is not None:
        found = {"success": found["success"], "robustness": against_eps, "stops": found["stops"]}
    return found


def _write_figure(figure: Figure, folder: Path, name: str) -> str:
    """Write the figure; returns its data URI."""
    body = figure_svg(figure)
    (folder / "figures" / f"{name}.svg").write_bytes(body)
    return data_uri(body)


def _files(arrays: Sequence[str], parquet: bool, pictures: bool) -> list[tuple[str, str]]:
    found = [
        ("rows.csv", "one line for each input of each result, with the digest of the input"),
        ("summary.json", "every number of this page, for programs"),
    ]
    arrays_text = "the inputs as stored: clean, adversarial, labels, targets, index, success"
    found += [(name, arrays_text) for name in arrays]
    if parquet:
        found.append((PARQUET, "the lines of rows.csv with their types"))
    if pictures:
        found.append(("pictures/", "clean, adversarial and difference, named by the input's index"))
    return [*found, ("figures/", "the figures of this page as SVG")]
