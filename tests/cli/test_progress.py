from __future__ import annotations

import dataclasses
import io
import time

import pytest
from rich.console import Console

from blackbox_am.cli.progress import (
    LiveView,
    Meter,
    StudyView,
    spent_text,
    study_line,
    study_view,
    wanted,
)
from blackbox_am.core.types import Accounting, StopReason, StudyProgress, StudyState, TargetProgress


def _progress(targets, *, state=StudyState.RUNNING, queries=100, message=""):
    rows = sum(target.queries for target in targets)
    return StudyProgress(
        "my-study", state, StopReason.NONE, message, 9, 4, tuple(targets), queries, rows, 0, 2.0
    )


def _target(index, queries, best, reason=StopReason.NONE):
    return TargetProgress(index, f"head:{index}", queries, best, reason)


def _text(view):
    console = Console(file=io.StringIO(), width=120)
    console.print(view)
    return console.file.getvalue()


def test_the_rate_is_over_the_last_seconds_only():
    now = [0.0]
    meter = Meter(lambda: now[0])
    assert meter.rate == 0
    for second in range(61):
        now[0] = float(second)
        meter.add(10 * second if second < 30 else 300 + 50 * (second - 30))
    assert meter.rate == pytest.approx(50)


def test_finished_targets_need_no_more_queries():
    progress = _progress([_target(0, 40, 1.0, StopReason.TARGET), _target(1, 60, 0.5)])
    assert wanted(progress) == 140


def test_the_view_contains_all_numbers():
    progress = _progress(
        [_target(0, 40, 1.25, StopReason.TARGET), _target(1, 60, None)], message="waits for it"
    )
    text = _text(study_view(progress, rate=20.0))
    for expected in ("my-study", "running", "100 / 140 queries", "20 queries/s", "ETA 0:02",
                     "head:0", "1.25", "target", "head:1", "-", "waits for it"):  # fmt: skip
        assert expected in text


def test_the_view_contains_the_account_of_the_oracle():
    progress = _progress([_target(0, 40, 1.0)])
    assert "oracle:" not in _text(study_view(progress, rate=0.0)), "clients measured"
    spent = Accounting(
        calls=1200, rows=34000, retries=3, retried_rows=96, cache_hits=5000, cost=12.5
    )
    text = _text(study_view(dataclasses.replace(progress, spent=spent), rate=0.0))
    assert "oracle: 34,000 rows in 1,200 calls, of these 3 retries with 96 rows" in text
    assert "5,000 rows from the cache" in text
    spent = dataclasses.replace(spent, probe_rows=4, baseline_rows=50)
    text = spent_text(spent)
    assert "(4 to test whether it repeats its answers, 50 of natural images)" in text
    assert "cost 12.5" in text


def test_no_time_left_without_a_rate():
    assert "ETA" not in _text(study_view(_progress([_target(0, 1, 1.0)]), rate=0.0))


def test_only_the_first_of_many_targets_are_shown():
    text = _text(study_view(_progress([_target(k, 1, 1.0) for k in range(500)]), rate=1.0))
    assert text.count("head:") == 16
    assert "484 more" in text


def test_a_title_is_not_interpreted_as_markup():
    target = TargetProgress(0, "a[red]b[/red]", 1, 1.0)
    assert "a[red]b[/red]" in _text(study_view(_progress([target]), rate=1.0))


def test_a_file_gets_lines_at_intervals():
    console = Console(file=io.StringIO(), width=80)
    with LiveView(console, line_seconds=0.2) as view:
        view.show("picture", "first")
        view.show("picture", "too soon")
        time.sleep(0.25)
        view.show("picture", "second")
        view.show("picture", "the end", last=True)
    assert console.file.getvalue().splitlines() == ["first", "second", "the end"]


def test_a_terminal_shows_the_last_view_at_the_end():
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    with StudyView(console) as view:
        view.show(_progress([_target(0, 40, 1.0)]))
        view.show(_progress([_target(0, 100, 2.5)], state=StudyState.SUCCEEDED))
    last = console.file.getvalue().rsplit("my-study", 1)[-1]
    assert "succeeded" in last
    assert "2.5" in last


def test_a_log_line_contains_the_numbers():
    line = study_line(_progress([_target(0, 40, 1.0), _target(1, 10, 2.5)]), 12.0)
    assert line == "my-study: running, 50 of 200 queries, 12 queries/s, best 2.5"
