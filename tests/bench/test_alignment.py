"""The benchmark of what the guard of bits costs."""

import math

import pytest

from blackbox_am.bench import alignment
from blackbox_am.bench.alignment import MODES, WORK, Work


@pytest.mark.parametrize("work", [Work("", 64), Work("cma", 9, 2), Work("xnes", 8, 2)], ids=str)
def test_work_is_timed(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "SECONDS", 0.001)
    seconds = alignment._seconds(work)
    assert 0 < seconds < math.inf


@pytest.mark.slow
def test_every_mode_times_all_work_against_the_default_mode() -> None:
    said: list[str] = []
    lines = alignment.measure(1, said.append)
    assert len(said) == len(MODES)
    assert [line.name for line in lines] == [
        f"{work}: {mode}" for work in WORK for mode in ("reproducible", "copies")
    ]
    assert all(line.value > 0 and line.ratio > 0 for line in lines)
