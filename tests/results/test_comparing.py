"""Studies side by side: seeds are one search, and intervals are those of the mean."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from blackbox_am.cli.reporting import compare
from blackbox_am.errors import InvalidInput
from blackbox_am.results.comparing import left_out, lines_of, searches_of
from blackbox_am.results.comparing_figure import comparison_figure


@pytest.fixture(scope="module")
def results(search):
    found = {f"cma-{seed}": search(optimizer="cma", seed=seed) for seed in range(3)}
    return found | {"chance": search(optimizer="random", seed=0)}


def test_seeds_are_one_search(results):
    searches = searches_of(results)
    assert [search.name for search in searches] == ["cma (3 seeds)", "chance"]
    assert [len(search.results) for search in searches] == [3, 1]


def test_the_interval_is_that_of_the_mean(results):
    lines = list(lines_of(searches_of(results)))
    assert [(line.target, line.search) for line in lines] == [
        ("units:0", "cma (3 seeds)"),
        ("units:0", "chance"),
        ("units:2", "cma (3 seeds)"),
        ("units:2", "chance"),
    ]
    scores = np.array([results[f"cma-{seed}"].best[0].score for seed in range(3)])
    half = 4.302653 * scores.std(ddof=1) / math.sqrt(3)  # Student's t, 2 degrees of freedom
    assert lines[0].best_score == pytest.approx(scores.mean())
    assert lines[0].low == pytest.approx(scores.mean() - half)
    assert lines[0].high == pytest.approx(scores.mean() + half)
    assert lines[0].queries == 40
    assert (lines[1].low, lines[1].studies) == (None, 1)


def test_one_noisy_study_has_the_interval_of_its_recheck(search):
    result = search(oracle="noisy", queries_per_target=80)
    line = next(lines_of(searches_of({"a": result})))
    error = result.best[0].recheck.best.standard_error
    assert line.high - line.best_score == pytest.approx(1.959964 * error)


def test_the_figure_has_a_band_over_seeds(results):
    figure = comparison_figure(searches_of(results))
    first = figure.axes[0]
    best = [results[f"cma-{seed}"].best[0].score for seed in range(3)]
    assert first.lines[0].get_ydata()[-1] == np.median(best)
    (path,) = first.collections[0].get_paths()
    assert path.vertices[:, 1].max() == max(best)


def test_only_shared_targets_are_compared(results, search):
    other = search(targets=["units:2", "units:1"], optimizer="random")
    lines = list(lines_of(searches_of({"a": results["chance"], "b": other})))
    assert [line.target for line in lines] == ["units:2"] * 2
    assert left_out(searches_of({"a": results["chance"], "b": other})) == ["units:0", "units:1"]
    none = replace(other, progress=replace(other.progress, targets=other.progress.targets[1:]))
    with pytest.raises(InvalidInput, match=r"share no target: one has units:0.*units:1"):
        list(lines_of(searches_of({"a": results["chance"], "b": none})))


def test_equal_targets_are_all_compared(search):
    result = search(targets=["units:0", "units:2", "units:0"], optimizer="random")
    searches = searches_of({"a": result})
    lines = list(lines_of(searches))
    assert [line.target for line in lines] == ["units:0", "units:2", "units:0 #2"]
    assert [line.best_score for line in lines] == [best.score for best in result.best]
    assert len(comparison_figure(searches).axes) >= 3
    other = search(optimizer="cma")
    assert left_out(searches_of({"a": result, "b": other})) == ["units:0 #2"]


def test_names_are_unique(results, search):
    short = {
        f"short-{seed}": search(optimizer="cma", targets=["units:0"], seed=seed)
        for seed in range(3)
    }
    names = [search.name for search in searches_of(results | short)]
    assert names == ["cma (3 seeds), units:0, units:2", "chance", "cma (3 seeds), units:0"]


def test_targets_that_are_left_out_are_named(results, search, capsys):
    other = search(targets=["units:2", "units:1"], optimizer="random")
    compare({"a": results["chance"], "b": other}, None, as_json=True)
    shown = capsys.readouterr()
    assert "units:0" not in shown.out
    assert "left out, as not all studies have these targets: units:0, units:1" in shown.err
