"""The report of a comparison: its page, its numbers for programs, and odd results."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from markupsafe import Markup
from matplotlib.figure import Figure

from blackbox_am.comparisons.metrics import metrics
from blackbox_am.comparisons.report import figures, rows_of, summary_of, wording, write_report
from blackbox_am.comparisons.report.page import page
from blackbox_am.comparisons.results import ComparisonResult, Method, ProtocolPart
from blackbox_am.comparisons.statistics import paired
from blackbox_am.errors import InvalidInput
from blackbox_am.testing.comparison_results import METHODS, comparison_result
from tests.reports.parsed import Page

HOSTILE = "<script>alert('x')</script>\"&$a$ --> 猫"
SHORT = (METHODS[0], replace(METHODS[1], queries_per_target=10))
GONE = replace(METHODS[0], unavailable="the oracle has no gradients")


@pytest.fixture
def plain_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty figures and few resamples, for tests of other parts: both take most of the time."""
    monkeypatch.setattr("blackbox_am.core.bootstrap.RESAMPLES", 50)
    for name in ("band_grid", "band_panel", "paired_strip"):
        monkeypatch.setattr(
            f"blackbox_am.comparisons.report.figures.{name}", lambda *given, **options: Figure()
        )
    monkeypatch.setattr(
        "blackbox_am.comparisons.report.pictures.figure_svg", lambda figure: b"<svg/>"
    )
    monkeypatch.setattr(
        "blackbox_am.comparisons.report.page.inline_svg",
        lambda figure, name, text: Markup("<svg/>"),
    )


@pytest.fixture(scope="module")
def result() -> ComparisonResult:
    return comparison_result(units=5, seeds=2)


@pytest.fixture(scope="module")
def written(result: ComparisonResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(result, tmp_path_factory.mktemp("report") / "new")


def test_the_page_needs_no_other_file(written: Path) -> None:
    page = Page(written.read_text("utf-8"))
    assert written.name == "report.html"
    assert [path.name for path in written.parent.iterdir()] == ["report.html"]
    assert page.tags.count("script") == 1
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    sources = [value for name, value in page.attributes if name in ("src", "href")]
    assert len(sources) == 5 * 5  # pictures of 5 units: natural and 4 methods
    assert all(value and value.startswith("data:image/") for value in sources)
    assert page.tags.count("svg") == 3
    names = [value for name, value in page.attributes if name == "id"]
    assert len(set(names)) == len(names) > 100
    inner = re.findall(r'(?:url\(#|xlink:href="#)([^")]+)', page.body)
    assert set(inner) <= set(names)
    assert page.body.count("url(") == page.body.count("url(#") > 0
    assert re.search(r"default-src 'none'; script-src 'sha256-[\w+/=]{44}';", unescape(page.body))


def test_the_page_says_what_the_numbers_are(result: ComparisonResult, written: Path) -> None:
    text = Page(written.read_text("utf-8")).text
    (snes, sep, random) = paired(result)
    share = f"{100 * snes.ratio:.0f} % [{100 * snes.low:.0f}, {100 * snes.high:.0f}]"
    assert (
        f"snes (gradient-free) reaches {share} of what adam finds at equal query-equivalents; it "
        f"loses on {snes.losses} of 5 units"
    ) in text
    lost = snes.losses + sep.losses
    assert f"All {lost} pairs of method and unit with a lower score than adam." in text
    assert f"{random.losses} losses of the references" in text
    assert "Geirhos" in text
    assert "Borowski" in text
    assert "The protocol was not kept in full. Tuning units: No parameter was tuned." in text
    found = metrics(result)
    for unit in result.units:
        score = found.by_unit["snes", unit.unit].numbers
        assert f"{score.relative:.2f} ×" in text


def test_every_loss_is_listed(result: ComparisonResult, plain_figures: None) -> None:
    weak = comparison_result(units=15, seeds=1)
    text = Page(page(weak)).text
    listed = text.split(" Every loss ")[1].split(" The protocol as run ")[0]
    for one in paired(weak):
        for loss in one.lost:
            assert f"{one.method} {loss.unit} {loss.layer}" in listed


def test_the_summary_is_json_without_nan(result: ComparisonResult) -> None:
    for one in (
        result,
        comparison_result(methods=(GONE, *METHODS[1:]), naturals=0, examined=False),
    ):
        summary = summary_of(one)
        assert json.loads(json.dumps(summary, allow_nan=False)) == summary
        assert [method["name"] for method in summary["methods"]] == [m.name for m in one.methods]
        assert len(summary["units"]) == len(one.units)
    assert summary["methods"][0]["result"] is None
    assert summary["methods"][1]["against_baseline"] is None
    assert summary["units"][0]["natural_max"] is None


def test_the_summary_has_the_numbers(result: ComparisonResult) -> None:
    summary, found = summary_of(result), metrics(result)
    (snes, *_) = paired(result)
    method = summary["methods"][1]
    assert method["result"]["numbers"]["relative"] == found.by_method["snes"].numbers.relative
    assert method["against_baseline"]["ratio"] == snes.ratio
    assert len(method["against_baseline"]["lost"]) == snes.losses
    scaled = method["of_scale"]
    assert scaled["low"] <= scaled["median"] <= scaled["high"]
    assert scaled["median"] == pytest.approx(method["result"]["numbers"]["relative"])


def test_rows_are_one_a_run_with_equal_columns(result: ComparisonResult) -> None:
    rows = rows_of(result)
    assert len(rows) == len(result.runs) == 5 * 2 * 4
    assert len({tuple(row) for row in rows}) == 1
    first, run = rows[0], result.runs[0]
    assert (first["method"], first["unit"], first["seed"]) == (run.method, run.unit, run.seed)
    assert (first["score"], first["rows"]) == (run.score, run.rows)
    kinds = {key: {type(row[key]) for row in rows} - {type(None)} for key in first}
    assert all(len(kind) <= 1 for kind in kinds.values()), kinds
    never = [row["to_natural"] for row in rows if row["method"] == "random"]
    assert never == [None] * len(never)  # random search stays below the natural maximum


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"methods": (GONE, *METHODS[1:])}, "The baseline adam has no result (the oracle has no"),
        ({"complete": False}, "The comparison was stopped before its end: 24 runs have"),
        ({"runs": ()}, "No method has a result."),
        ({"warnings": ("Tuned by hand.",)}, "Note: Tuned by hand."),
        ({"naturals": 0}, "share of the range from a random start to the best known score"),
        ({"shape": (1, 64)}, "Pictures of every unit"),
        ({"shape": (5,)}, "Pictures of every unit"),
        ({"protocol": (ProtocolPart("all", True, "Yes."),)}, "Kept in full."),
        ({"examined": False}, "What it costs"),
        ({"baseline": "nothing"}, "no result, so no method is compared with this baseline."),
        ({"methods": METHODS[:1]}, "Only adam was run."),
        ({"naturals": 30}, "over best of all 30 natural"),
        ({"naturals": 1000}, "over best of n natural"),
        ({"methods": SHORT}, "finds with 10 query-equivalents against 1,000; it loses"),
    ],
)
def test_odd_results_have_a_page(
    changes: dict[str, object], says: str, plain_figures: None
) -> None:
    text = Page(page(comparison_result(units=3, seeds=2, **changes))).text
    assert says in text
    if "methods" in changes and changes["methods"] == SHORT:
        assert "equal query-equivalents" not in text
    assert ("Beyond the score" in text) == (changes.get("examined", True) and "runs" not in changes)


def test_negative_scores_are_standardised_and_compared_by_the_gap(plain_figures: None) -> None:
    result = comparison_result(units=3, seeds=2)
    units = tuple(
        replace(unit, natural=unit.natural - 50, start=unit.start - 50) for unit in result.units
    )
    runs = tuple(
        replace(run, score=run.score - 50, best_so_far=run.best_so_far - 50) for run in result.runs
    )
    text = Page(page(replace(result, units=units, runs=runs, best_known={}))).text
    assert "standard deviations above the natural mean" in text
    assert "of the gap from a random start to adam" in text
    assert " nan" not in text


def test_a_baseline_below_the_start_leaves_no_gap(plain_figures: None) -> None:
    result = comparison_result(units=2, seeds=1)
    units = tuple(replace(unit, natural=unit.natural - 500, start=-90.0) for unit in result.units)
    runs = tuple(replace(run, score=-99.0) for run in result.runs)
    text = Page(page(replace(result, units=units, runs=runs, best_known={}))).text
    assert (
        "snes (gradient-free) has no ratio to adam at equal query-equivalents: adam found no more "
        "than a random start"
    ) in text


def test_the_name_of_the_baseline_is_no_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = (replace(METHODS[0], name="$a_"), METHODS[1])
    result = comparison_result(units=2, seeds=1, methods=odd)
    monkeypatch.setattr(figures, "paired_strip", lambda methods, *, label: label)
    found = figures.ratio_strip(result, metrics(result), paired(result))
    assert found == r"score, in percent of \$a_"


def test_runs_that_found_nothing_are_named(plain_figures: None) -> None:
    result = comparison_result(units=2, seeds=2)
    runs = tuple(
        replace(run, score=float("nan"), stimulus=None, best_so_far=run.best_so_far * np.nan)
        if run.method == "snes"
        else run
        for run in result.runs
    )
    text = Page(page(replace(result, runs=runs))).text
    assert "left out of the medians: snes 4." in text
    assert "nothing found" in text
    assert "it loses on 2 of 2 units" in text


def test_warnings_that_the_protocol_says_are_not_repeated(plain_figures: None) -> None:
    result = comparison_result(units=2, seeds=1, warnings=("No parameter was tuned.", "Other."))
    text = Page(page(result)).text.split(" What each method found ")[0]
    assert text.count("No parameter was tuned.") == 1
    assert "Note: Other." in text


def test_units_without_a_ratio_are_said(plain_figures: None) -> None:
    result = comparison_result(units=3, seeds=1)
    first = result.units[0].unit
    runs = tuple(
        replace(run, score=run.score - 100) if run.unit == first else run for run in result.runs
    )
    text = Page(page(replace(result, runs=runs))).text
    assert "at equal query-equivalents, over the 2 units with a positive score; it loses" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.934, "93 %"), (1.0, "100 %"), (0.0, "0 %"), (0.996, "99.6 %"), (0.99999, "> 99.9 %"),
        (0.0001, "< 0.1 %"), (1.204, "120 %"), (float("nan"), "–"),
    ],
)  # fmt: skip
def test_percents_are_0_and_100_only_if_they_are_exact(value: float, text: str) -> None:
    assert wording.percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234.5, "1,234"), (0.012345, "0.0123"), (1.4321, "1.43"), (-2.7, "-2.70"), (0.0, "0"),
        (3.2e-7, "3.20e-07"), (float("inf"), "inf"), (12.0, "12.0"),
    ],
)  # fmt: skip
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert wording.number(value) == text


def test_times_queries_and_p_values_in_words() -> None:
    assert wording.duration(0.347) == "0.35 s"
    assert wording.duration(125.2) == "2 min 5 s"
    assert wording.duration(3725) == "1 h 2 min"
    assert wording.queries(float("inf"), 1000) == "> 1,000"
    assert wording.queries(1234.4, 2000) == "1,234"
    assert [wording.p_value(p) for p in (0.0001, 0.0312, 0.5)] == ["< 0.001", "0.031", "0.50"]


def test_a_noisy_oracle_is_named(result: ComparisonResult, plain_figures: None) -> None:
    runs = tuple(replace(run, score_error=0.1) for run in result.runs)
    assert "The oracle is noisy." in Page(page(replace(result, runs=runs))).text
    assert "The oracle is noisy." not in Page(page(result)).text


def test_names_of_others_are_escaped(plain_figures: None) -> None:
    odd = Method(HOSTILE, HOSTILE, {HOSTILE: HOSTILE}, 0, 1.0, 10)
    result = comparison_result(
        units=2, seeds=1, methods=(METHODS[0], odd), name=HOSTILE, warnings=(HOSTILE,),
        identity={HOSTILE: HOSTILE}, protocol=(ProtocolPart(HOSTILE, False, HOSTILE),),
    )  # fmt: skip
    found = Page(page(result))
    assert found.tags.count("script") == 1
    assert found.text.count("猫") > 8


@pytest.mark.slow
def test_a_name_with_dollars_can_be_drawn() -> None:
    odd = Method("$a_", "snes", {}, 0, 1.0, 10)
    assert "$a_" in Page(page(comparison_result(units=2, seeds=1, methods=(METHODS[0], odd)))).text


def test_many_units_are_drawn_by_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blackbox_am.comparisons.report.figures.MOST_PANELS", 4)
    monkeypatch.setattr("blackbox_am.core.bootstrap.RESAMPLES", 50)
    text = Page(page(comparison_result(units=5, seeds=1, methods=METHODS[:2]))).text
    assert "each layer, with quartiles over its units" in text


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, result: ComparisonResult, plain_figures: None
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="cannot be written"):
        write_report(result, tmp_path / "file")


@pytest.mark.slow
def test_equal_results_have_equal_pages(result: ComparisonResult) -> None:
    assert page(result) == page(comparison_result(units=5, seeds=2))


@pytest.mark.slow
def test_a_browser_shows_the_page_without_an_error(written: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("needs Chromium")
    script = (
        "<script>document.querySelectorAll('table.sortable th').forEach(th => th.click())</script>"
    )
    body = written.read_text("utf-8")
    policy = re.sub(r"script-src &#39;[\w+/=-]+&#39;", "script-src 'unsafe-inline'", body)
    clicked = tmp_path / "clicked.html"
    clicked.write_text(policy.replace("</body>", f"{script}</body>"), "utf-8")
    for path, sorted_headings in ((written, 0), (clicked, 5)):
        done = subprocess.run(
            [
                browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
                "--v=0", f"--user-data-dir={tmp_path / path.stem}", "--dump-dom", path.as_uri(),
            ],
            capture_output=True, text=True, timeout=100, check=True,
        )  # fmt: skip
        assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
        assert done.stdout.count("Click to sort.") > 40
        assert done.stdout.count("aria-sort=") >= sorted_headings
