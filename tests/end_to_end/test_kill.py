"""SIGKILL at random moments: nothing that was finished is lost, and the end is the same."""

from __future__ import annotations

import pytest

from blackbox_am.bench.kill import kill


def check(kills: int, queries: int) -> None:
    for line in kill(kills, queries, seed=3, say=lambda text: None):
        assert line.met in (True, None), f"{line.name}: {line.value} {line.unit}"


@pytest.mark.slow
def test_two_kills_do_not_change_the_result():
    check(kills=2, queries=60)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_kills_do_not_change_the_result():
    check(kills=20, queries=600)
