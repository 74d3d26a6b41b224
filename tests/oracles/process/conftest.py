"""Oracles on programs, which are closed after each test."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from blackbox_am.oracles.process.subprocess import Subprocess


@pytest.fixture
def open_oracles() -> Iterator[list[Subprocess]]:
    opened: list[Subprocess] = []
    yield opened
    for oracle in opened:
        oracle.close()


@pytest.fixture
def of(tmp_path: Path, open_oracles: list[Subprocess]):
    """`of(program, **parameters)`: an oracle on a Python program that reads lines."""

    def make(program: str, **more: object) -> Subprocess:
        (tmp_path / "program.py").write_text(program)
        command = (sys.executable, "-S", str(tmp_path / "program.py"))
        oracle = Subprocess(command, (2, 3), **{"units": 3, **more})
        open_oracles.append(oracle)
        return oracle

    return make
