"""Tables with one row for each method."""

from __future__ import annotations

import math
from collections.abc import Sequence

from blackbox_am.comparisons.metrics import median
from blackbox_am.comparisons.numbers import Metrics
from blackbox_am.comparisons.report import wording
from blackbox_am.comparisons.report.tables import Cell, Column, Table, cell, searched
from blackbox_am.comparisons.results import ComparisonResult, Method
from blackbox_am.comparisons.scales import Scale
from blackbox_am.comparisons.statistics import Paired, on_scale

_ABOUT = {
    "over_natural_of_n": "Score over the expected best of as many natural images as queries.",
    "rank": "Natural images with a lower score.",
    "gap_closed": "(score - best of 64 random latents) / (baseline - the same).",
    "of_best_known": "Score over the best that any run found for the unit in this generator.",
    "area": "Mean best-so-far score from the first common score to the budget, over the natural "
    "maximum.",
    "equal_time_relative": "Best score within the seconds of the fastest method, over the natural "
    "maximum.",
    "robust_relative": "Mean score under 64 random transformations, over the natural maximum.",
    "robust_share": "Mean score under 64 random transformations, over the score.",
    "plausibility": "Distance to the nearest natural image in the features of an independent "
    "network; 1 is typical of natural images.",
    "diversity": "1 - cosine of features between good seeds; 0 for equal stimuli.",
    "transfer": "Natural images to which the matched unit of a second network answers less.",
    "typicality": "Probability of a latent length nearer to the median; 100 % is far from usual.",
}


def method_table(result: ComparisonResult) -> Table:
    """The methods as they were run."""
    columns = (
        "method",
        "optimizer",
        "parameters",
        "learns from",
        "cost of a row",
        "rows",
        "result",
    )
    rows = [
        (
            Cell(method.name),
            Cell(method.optimizer),
            Cell(", ".join(f"{k} = {v}" for k, v in method.parameters.items()) or "defaults"),
            Cell("gradients" if method.order else "scores"),
            cell(f"{method.cost:g}", method.cost),
            cell(f"{method.queries_per_target:,}", method.queries_per_target),
            _availability(result, method),
        )
        for method in result.methods
    ]
    numbers = {"cost of a row", "rows"}
    return Table(tuple(Column(name, name in numbers) for name in columns), tuple(rows))


def found_table(result: ComparisonResult, found: Metrics, scale: Scale) -> Table:
    """What each method found: medians over units of the medians over seeds."""
    columns = (
        Column("method", number=False),
        Column(
            f"{scale.name} [95 %]",
            about="Median over units of the median over seeds, with its bootstrap interval.",
        ),
        Column("over best of n natural", about=_ABOUT["over_natural_of_n"]),
        Column("rank among natural", about=_ABOUT["rank"]),
        Column("gap closed", about=_ABOUT["gap_closed"]),
        Column("of best known", about=_ABOUT["of_best_known"]),
        Column(
            "units above natural", about="Units whose median score is above every natural image."
        ),
        Column("runs without a result"),
    )
    rows = []
    for method in searched(result, found):
        all_of, numbers = found.by_method[method.name], found.by_method[method.name].numbers
        units = [row for row in found.by_unit.values() if row.method == method.name]
        above = sum(row.numbers.score > found.levels[row.unit].natural_max for row in units)
        value, low, high = on_scale(result, method.name, scale)
        rows.append(
            (
                _named(method),
                cell(wording.interval(value, low, high), value),
                cell(wording.times(numbers.over_natural_of_n), numbers.over_natural_of_n),
                cell(wording.percent(numbers.rank, 1), numbers.rank),
                cell(wording.percent(numbers.gap_closed), numbers.gap_closed),
                cell(wording.percent(numbers.of_best_known), numbers.of_best_known),
                cell(f"{above} of {len(units)}", above),
                cell(f"{all_of.failed} of {all_of.runs}", all_of.failed),
            )
        )
    return Table(columns, tuple(rows))


def paired_table(result: ComparisonResult, against: Sequence[Paired]) -> Table:
    """Each method against the baseline."""
    columns = (
        Column("method", number=False),
        Column(f"of {result.baseline} [95 %]", about="Median over units of the ratio of scores."),
        Column("wins"),
        Column("ties"),
        Column("losses"),
        Column("Wilcoxon p"),
        Column("p after Holm", about="Corrected for the number of compared methods."),
    )
    methods = {method.name: method for method in result.methods}
    rows = [
        (
            _named(methods[one.method]),
            cell(wording.percent_interval(one.ratio, one.low, one.high), one.ratio),
            cell(f"{one.wins}", one.wins),
            cell(f"{one.ties}", one.ties),
            cell(f"{one.losses}", one.losses),
            cell(wording.p_value(one.p_value), one.p_value),
            cell(wording.p_value(one.adjusted), one.adjusted),
        )
        for one in against
    ]
    return Table(columns, tuple(rows))


def cost_table(result: ComparisonResult, found: Metrics) -> Table:
    """Query-equivalents to several levels, and seconds."""
    to = (
        ("to_natural", "natural maximum"),
        ("to_50", "50 %"),
        ("to_90", "90 %"),
        ("to_95", "95 %"),
    )
    columns = (
        Column("method", number=False),
        Column(f"to {to[0][1]}"),
        *(Column(f"to {name} of {result.baseline}") for _, name in to[1:]),
        Column("area under curve", about=_ABOUT["area"]),
        Column("best at equal time", about=_ABOUT["equal_time_relative"]),
        Column("time of a run"),
        Column("rows of a run"),
        Column("of these backward"),
    )
    rows = []
    for method in searched(result, found):
        numbers = found.by_method[method.name].numbers
        rows.append(
            (
                _named(method),
                *(_queries(result, found, method.name, field) for field, _ in to),
                cell(wording.number(numbers.area), numbers.area),
                cell(wording.times(numbers.equal_time_relative), numbers.equal_time_relative),
                cell(wording.duration(numbers.seconds), numbers.seconds),
                cell(f"{numbers.rows:,.0f}", numbers.rows),
                cell(f"{numbers.backward_rows:,.0f}", numbers.backward_rows),
            )
        )
    return Table(columns, tuple(rows))


def beyond_table(result: ComparisonResult, found: Metrics) -> Table:
    """Robustness, plausibility, diversity, transfer and typicality."""
    columns = (
        Column("method", number=False),
        Column("robust score", about=_ABOUT["robust_relative"]),
        Column("share kept", about=_ABOUT["robust_share"]),
        Column("10th percentile", about="Of the robust scores, over the score."),
        Column("distance to natural", about=_ABOUT["plausibility"]),
        Column("KID", about="Kernel inception distance x 1,000; needs 2,000 stimuli."),
        Column("diversity of seeds", about=_ABOUT["diversity"]),
        Column("transfer rank", about=_ABOUT["transfer"]),
        Column("untypical latent", about=_ABOUT["typicality"]),
    )
    rows = []
    for method in searched(result, found):
        all_of = found.by_method[method.name]
        numbers = all_of.numbers
        low = median(
            [
                row.numbers.robust_p10 / row.numbers.score
                for row in found.by_unit.values()
                if row.method == method.name and row.numbers.score > 0
            ]
        )
        rows.append(
            (
                _named(method),
                cell(wording.times(numbers.robust_relative), numbers.robust_relative),
                cell(wording.percent(numbers.robust_share), numbers.robust_share),
                cell(wording.percent(low), low),
                cell(wording.times(numbers.plausibility), numbers.plausibility),
                cell(wording.number(1000 * all_of.kid), all_of.kid),
                cell(wording.number(all_of.diversity, 2), all_of.diversity),
                cell(wording.percent(numbers.transfer, 1), numbers.transfer),
                cell(wording.percent(numbers.typicality), numbers.typicality),
            )
        )
    return Table(columns, tuple(rows))


def _named(method: Method) -> Cell:
    return Cell(method.name, note="for reference" if method.reference else "")


def _availability(result: ComparisonResult, method: Method) -> Cell:
    if method.unavailable:
        return Cell(f"unavailable: {method.unavailable}", mark="bad")
    if method.name == result.baseline:
        return Cell("the baseline")
    return Cell("for reference" if method.reference else "compared")


def _queries(result: ComparisonResult, found: Metrics, method: str, field: str) -> Cell:
    """The median over units, and the number of units that reached the level."""
    value: float = getattr(found.by_method[method].numbers, field)
    units = [row.numbers for row in found.by_unit.values() if row.method == method]
    known = [one for one in (getattr(row, field) for row in units) if not math.isnan(one)]
    reached = sum(map(math.isfinite, known))
    note = f"{reached} of {len(known)} units" if known else ""
    return cell(wording.queries(value, result.budget), value, note=note)
