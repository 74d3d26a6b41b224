"""`attack compare`: the table, the page and the errors."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from blackbox_am.attacks.report import write_report
from blackbox_am.cli.attack_compare import compare
from blackbox_am.cli.failures import Group
from blackbox_am.testing.attack_results import attack_result


def run(*arguments: object) -> Result:
    app = typer.Typer(cls=Group)
    app.command()(compare)
    app.callback()(lambda: None)
    return CliRunner().invoke(app, ["compare", *map(str, arguments)], env={"COLUMNS": "120"})


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.setattr("blackbox_am.attacks.report.writing.figure_svg", lambda figure: b"<svg/>")
    stops = {"square": [4, 10, None, 6], "nes [fast]": [40, 30, 90, None]}
    for attack, queries in stops.items():
        result = attack_result(queries, attack=attack, oracle=attack)
        write_report([result], tmp_path / attack, pictures=0)
    return tmp_path / "square", tmp_path / "nes [fast]"


def test_the_table_and_the_page_have_both_attacks(reports: tuple[Path, Path]) -> None:
    page = reports[0].parent / "new" / "compare.html"
    result = run(*reports, "--out", page)
    assert result.exit_code == 0
    words = " ".join(result.output.split())
    assert "A: square B: nes [fast]" in words
    assert "median queries 7 35" in words
    assert "fooled by this attack alone 1 1" in words
    assert "note: The oracle differs: square and nes [fast]." in words
    assert "B: nes [fast]" in page.read_text("utf-8")


def test_a_folder_without_a_report_ends_with_2(reports: tuple[Path, Path], tmp_path: Path) -> None:
    result = run(reports[0], tmp_path)
    assert result.exit_code == 2
    assert "has no attack report" in " ".join(result.output.split())


def test_a_page_that_cannot_be_written_ends_with_2(reports: tuple[Path, Path]) -> None:
    result = run(*reports, "--out", reports[0])
    assert result.exit_code == 2
    assert "cannot be written" in " ".join(result.output.split())
