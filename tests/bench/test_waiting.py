"""The benchmark of how long threads wait, and the value that the package sets."""

import os
import subprocess
import sys

import pytest

from blackbox_am.bench import waiting

_PROGRAM = "import os, blackbox_am; print(os.environ.get('GOMP_SPINCOUNT', ''))"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, waiting.SPINS["ours"]),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "active"}, ""),
    ],
)
def test_the_package_sets_what_was_measured_and_leaves_what_is_set(given, kept):
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OMP", "GOMP"))}
    command = [sys.executable, "-c", _PROGRAM]
    done = subprocess.run(command, env=clean | given, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == kept


@pytest.mark.slow
def test_both_ways_are_timed_on_a_free_and_on_a_busy_machine():
    said: list[str] = []
    lines = waiting.measure(1, said.append)
    assert len(said) == 2 * len(waiting.SPINS)
    assert all(line.value > 0 and line.ratio > 0 for line in lines)
