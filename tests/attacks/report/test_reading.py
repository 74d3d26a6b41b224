"""Reports are read as they were written, and other folders are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from blackbox_am.attacks.report import write_report
from blackbox_am.attacks.report.audit import audit
from blackbox_am.attacks.report.reading import read_report
from blackbox_am.attacks.report.statistics import statistics
from blackbox_am.attacks.results import Outcome
from blackbox_am.errors import InvalidInput
from blackbox_am.testing.attack_results import attack_result


@pytest.fixture(autouse=True)
def plain_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty figures: drawing takes most of the time."""
    monkeypatch.setattr("blackbox_am.attacks.report.writing.figure_svg", lambda figure: b"<svg/>")


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    result = attack_result([3, None, Outcome.SKIPPED, Outcome.ERROR, 9])
    odd = replace(result.inputs[0], name='a "b", c\n=d', message="'quoted'", target=2)
    result = replace(result, inputs=(odd, *result.inputs[1:]), parameters={"share": None, "n": 3})
    write_report([result], tmp_path)
    report = read_report(tmp_path)
    (summary,) = report.summary.results
    assert summary.statistics == statistics(result)
    assert summary.audit == audit(result)
    assert summary.parameters == {"share": None, "n": 3}
    assert summary.spent == result.spent
    assert summary.classes == result.classes
    rows = report.rows_of(0)
    for name in (
        *("index", "name", "outcome", "label", "target", "queries", "clean_label", "clean_score"),
        *("adversarial_label", "adversarial_score", "verified", "message"),
    ):
        assert [getattr(row, name) for row in rows] == [getattr(one, name) for one in result.inputs]


def test_values_that_json_lacks_are_texts(tmp_path: Path) -> None:
    write_report([attack_result([3], parameters={"place": Path("x")})], tmp_path)
    assert read_report(tmp_path).summary.results[0].parameters == {"place": "x"}


def test_a_folder_without_a_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"has no attack report: .*No such file"):
        read_report(tmp_path)
    (tmp_path / "summary.json").write_text('{"title": "another file"}')
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InvalidInput, match="has no attack report that can be read"):
        read_report(tmp_path)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("summary.json", b"attack report 1", b"attack report 9"),
        ("summary.json", b'"seed": 7', b'"seed": "x"'),
        ("rows.csv", b"success", b"triumph"),
        ("rows.csv", b"0,0,000.png", b"0,zero,000.png"),
        ("rows.csv", b"\n0,1,", b"\n5,1,"),
        ("rows.csv", b"000.png", b"\xff\xfe"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, file: str, old: bytes, new: bytes) -> None:
    write_report([attack_result([3, None])], tmp_path)
    body = (tmp_path / file).read_bytes()
    assert old in body
    (tmp_path / file).write_bytes(body.replace(old, new, 1))
    with pytest.raises(InvalidInput, match=r"has no attack report|not of one report"):
        read_report(tmp_path)
