"""The page of a report: what it says in words, and what the template needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.figure import Figure

from blackbox_am.comparisons.metrics import metrics
from blackbox_am.comparisons.numbers import Metrics
from blackbox_am.comparisons.report import figures, method_tables, pictures, unit_tables
from blackbox_am.comparisons.report.headline import headline
from blackbox_am.comparisons.report.wording import counted
from blackbox_am.comparisons.results import ComparisonResult
from blackbox_am.comparisons.scales import Scale, scale_of
from blackbox_am.comparisons.statistics import Paired, paired
from blackbox_am.reports import inline_svg, render, render_script

TEMPLATE = "gradient_comparison.html"


@dataclass(frozen=True)
class Drawn:
    """A figure.

    Attributes:
        svg: the figure as an element of the page.
        text: what it shows.
    """

    svg: Markup
    text: str


def page(result: ComparisonResult) -> str:
    """The page as HTML."""
    found, scale, against = metrics(result), scale_of(result), paired(result)
    compared = [one for one in against if not one.reference]
    columns, lines = pictures.lines(result, scale)
    losses = unit_tables.loss_table(result, scale, compared)
    script, policy = render_script("sorting.js")
    return render(
        TEMPLATE,
        title=_title(result),
        subtitle=_subtitle(result),
        script=script,
        script_policy=policy,
        lead=headline(result, found, scale, against),
        notes=_notes(result, found),
        protocol=result.protocol,
        switched_off=[part.name for part in result.protocol if not part.kept],
        methods=method_tables.method_table(result),
        unavailable=[method for method in result.methods if method.unavailable],
        found=method_tables.found_table(result, found, scale),
        against=method_tables.paired_table(result, against),
        cost=method_tables.cost_table(result, found),
        beyond=method_tables.beyond_table(result, found),
        examined=_examined(found),
        units=unit_tables.unit_table(result, found),
        losses=losses,
        compared=compared,
        reference_losses=unit_tables.loss_table(
            result, scale, [one for one in against if one.reference]
        ),
        baseline=result.baseline,
        scale=scale,
        figures=_figures(result, found, scale, against),
        panels=_panels(result, scale),
        picture_columns=columns,
        picture_lines=lines,
        identity=dict(result.identity),
        seeds=result.seeds,
    )


def _title(result: ComparisonResult) -> str:
    models = [result.identity[name] for name in ("oracle", "generator") if name in result.identity]
    if result.name != "comparison" or not models:
        return f"Comparison: {result.name}"
    return f"Comparison of search methods on {' with '.join(models)}"


def _subtitle(result: ComparisonResult) -> str:
    layers = len({unit.layer for unit in result.units})
    compared = [method for method in result.methods if not method.reference]
    return (
        f"{counted(len(compared), 'method')} and "
        f"{counted(len(result.methods) - len(compared), 'reference')}, "
        f"{counted(len(result.units), 'unit')} of {counted(layers, 'layer')}, "
        f"{counted(len(result.seeds), 'seed')}, {result.budget:,.0f} query-equivalents for each "
        "unit and seed"
    )


def _notes(result: ComparisonResult, found: Metrics) -> list[tuple[str, str]]:
    """What a reader must know before the numbers, as severity and sentence."""
    notes = []
    if not result.complete:
        notes.append(
            (
                "severe",
                (
                    f"The comparison was stopped before its end: {len(result.runs):,} runs have "
                    "ended. Resume it before you use the numbers."
                ),
            )
        )
    off = [part for part in result.protocol if not part.kept]
    if off:
        parts = " ".join(f"{part.name.capitalize()}: {part.text}" for part in off)
        notes.append(("", f"The protocol was not kept in full. {parts}"))
    failed = [f"{one.method} {one.failed}" for one in found.by_method.values() if one.failed]
    if failed:
        notes.append(
            (
                "",
                (
                    "Runs without a score are counted as losses and left out of the medians: "
                    f"{', '.join(failed)}."
                ),
            )
        )
    if any(run.score_error > 0 for run in result.runs):
        notes.append(
            (
                "",
                (
                    "The oracle is noisy. The reported scores are means of fresh measurements. "
                    "The curves, and the numbers of queries that follow from them, are of the best "
                    "noisy score so far, which is too high on average."
                ),
            )
        )
    told = {part.text for part in off}
    return [*notes, *(("", warning) for warning in result.warnings if warning not in told)]


def _examined(found: Metrics) -> bool:
    """Whether any number beyond the scores was measured."""
    rows = [one.numbers for one in found.by_method.values()]
    values = [(n.robust_mean, n.plausibility, n.transfer, n.typicality) for n in rows]
    others = [(one.diversity, one.kid) for one in found.by_method.values()]
    return any(not math.isnan(value) for row in (*values, *others) for value in row)


def _figures(
    result: ComparisonResult, found: Metrics, scale: Scale, against: Sequence[Paired]
) -> list[Drawn]:
    drawn = [
        (
            "overview",
            figures.overview(result, scale),
            (
                f"Best score so far, {scale.name}: median over units of the medians over seeds, "
                "and quartiles over units. A curve begins where most runs have a first score."
            ),
        ),
        (
            "ratios",
            figures.ratio_strip(result, found, against),
            (
                f"Each point is a unit: score in percent of {result.baseline}, medians over seeds. "
                "The bar is the median with its 95 % interval."
            ),
        ),
    ]
    return [_drawn(name, figure, text) for name, figure, text in drawn if figure is not None]


def _panels(result: ComparisonResult, scale: Scale) -> Drawn | None:
    figure = figures.small_panels(result, scale)
    if figure is None:
        return None
    what = (
        "each unit, with quartiles over seeds"
        if len(result.units) <= figures.MOST_PANELS
        else "each layer, with quartiles over its units"
    )
    return _drawn("panels", figure, f"Best score so far, {scale.name}: {what}.")


def _drawn(name: str, figure: Figure, text: str) -> Drawn:
    return Drawn(inline_svg(figure, name, text), text)
