"""Figures of a result are drawn into axes that the caller can go on with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from blackbox_am.cli.reporting import What, plot
from blackbox_am.errors import InvalidInput
from blackbox_am.results import figures


def test_convergence_has_a_line_for_each_target(result):
    axes = result.plot.convergence()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["units:0", "units:2"]
    ends = [line.get_ydata()[-1] for line in axes.lines]
    assert ends == [best.score for best in result.best]


def test_it_draws_into_the_callers_axes(result):
    axes = Figure().subplots()
    assert result.plot(targets=[1], axes=axes) is axes
    assert len(axes.lines) == 1


def test_many_targets_get_a_median_and_a_band(result):
    part = result.history[0]
    many = replace(
        result,
        progress=replace(result.progress, targets=result.progress.targets * 5),
        history=[replace(part, targets=tuple(range(10)), scores=np.tile(part.scores, (5, 1)))],
    )
    axes = many.plot.convergence()
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["first to third quartile", "median of 10 targets"]
    assert axes.lines[-1].get_ydata()[-1] == np.median([b.max() for b in part.scores])


def test_scores_of_generations(result):
    axes = result.plot.scores(target=1)
    best = axes.lines[1].get_ydata()
    assert best.max() == result.best[1].score
    assert axes.get_title(loc="left") == "units:2"


def test_best_stimuli(result):
    first, second = result.plot.best()
    assert first.get_figure() is second.get_figure()
    shown = np.asarray(second.images[0].get_array())
    np.testing.assert_allclose(shown, result.best[1].stimulus.transpose(1, 2, 0), atol=1e-6)
    words = " ".join(text.get_text() for text in first.get_figure().texts)
    assert "toy, stimuli of pixels" in words
    assert "study found" in words
    assert "seed 0" in words


def test_a_part_of_many_targets_is_named(result, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(figures, "_DRAWN_TARGETS", 3)
    target, best = result.progress.targets[0], result.best[0]
    many = replace(
        result,
        progress=replace(
            result.progress, targets=[replace(target, target=index) for index in range(5)]
        ),
        best=[replace(best, target=index) for index in range(5)],
    )
    drawn = many.plot.best()
    assert len(drawn) == 3
    words = " ".join(text.get_text() for text in drawn[0].get_figure().texts)
    assert "first 3 of 5 targets" in words
    plot(many, What.BEST, None, tmp_path / "a.svg")
    assert "drawing the first 3 of 5 targets" in capsys.readouterr().err
    (chosen,) = many.plot.best(targets=[4])
    assert "of 5" not in " ".join(text.get_text() for text in chosen.get_figure().texts)


def test_what_cannot_be_drawn_is_said(result):
    with pytest.raises(InvalidInput, match="targets 0 to 1, got 2"):
        result.plot.convergence(targets=[2])
    with pytest.raises(InvalidInput, match="no measurement yet"):
        replace(result, history=[]).plot.convergence()
    hidden = [replace(best, stimulus=None) for best in result.best]
    with pytest.raises(InvalidInput, match="no stimuli: why"):
        replace(result, best=hidden, notes=("no stimuli: why",)).plot.best()
