"""The report: its page, its files, and what hostile or odd results do to them."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from blackbox_am.attacks.report import write_report
from blackbox_am.attacks.report.flags import Flag
from blackbox_am.attacks.results import AttackResult, Outcome
from blackbox_am.errors import InvalidInput
from blackbox_am.testing.attack_results import attack_result
from tests.reports.parsed import Page

HOSTILE = "<script>alert('x')</script>\"&$a$ --> 猫.png"


def line(page: Page, name: str) -> str:
    """The text after `name` among the numbers and in the tables below."""
    return page.text.split(" Numbers ", 1)[1].split(f" {name} ", 1)[1]


@pytest.fixture
def plain_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty figures, for tests of other parts: drawing takes most of the time."""
    monkeypatch.setattr("blackbox_am.attacks.report.writing.figure_svg", lambda figure: b"<svg/>")


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    stops = [3, 10, 30, None, 50, Outcome.SKIPPED, Outcome.ERROR, 1, 1, 20]
    return write_report([attack_result(stops)], tmp_path_factory.mktemp("single"))


def test_the_page_needs_no_other_file_and_no_script(single: Path) -> None:
    page = Page(single)
    assert "script" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    sources = [value for name, value in page.attributes if name in ("src", "href")]
    assert sources
    assert all(value and value.startswith("data:image/") for value in sources)
    assert "url(" not in single.read_text("utf-8")
    assert "default-src 'none'" in single.read_text("utf-8")


def test_the_page_has_the_numbers(single: Path) -> None:
    page = Page(single)
    queries = [3, 10, 30, 50, 1, 1, 20]
    for name, value in {
        "inputs": "10",
        "correct before the attack": "8",
        "skipped": "1",
        "attacked to the end": "8",
        "fooled (success)": "7",
        "not fooled (failed)": "1",
        "error": "1",
        "success rate": "87.5 % [52.9, 97.8]",
        "clean accuracy": "88.9 % [56.5, 98.0]",
        "robust accuracy": "11.1 % [2.0, 43.5]",
        "rows, for all purposes": "400",
        "calls": "50",
        "rows for each call": "8",
        "seed": "7",
        "parameter share": "0.05",
        "data digest": "3f1c9b62a0de4b7c",
        "successes verified by a fresh query": "7",
    }.items():
        assert line(page, name).startswith(f"{value} "), name
    for group, numbers in (
        ("Queries, of the inputs that were fooled", queries),
        ("Queries, of all attacked inputs", [*queries, 100]),
    ):
        median, mean, p90 = np.median(numbers), np.mean(numbers), np.percentile(numbers, 90)
        texts = [f"{value:.1f}".removesuffix(".0") for value in (median, mean, p90)]
        assert line(page, group).startswith("median {} mean {} p90 {} ".format(*texts))
    assert "square fooled resnet20 on 7 of 8 attacked inputs (87.5 %)" in page.text
    assert "Audit passed: all 7 successes were measured afresh" in page.text


def test_rows_are_complete_and_say_what_was_measured(single: Path) -> None:
    rows = list(csv.DictReader(io.StringIO((single.parent / "rows.csv").read_text("utf-8"))))
    assert [row["index"] for row in rows] == [str(index) for index in range(10)]
    assert [row["outcome"] for row in rows[:7]] == [
        *["success"] * 3, "failed", "success", "skipped", "error",
    ]  # fmt: skip
    first = rows[0]
    assert (first["label_name"], first["adversarial_name"], first["queries"]) == ("cat", "dog", "3")
    assert float(first["linf"]) == 8 / 255
    assert float(first["l2"]) == pytest.approx(8 / 255 * 192**0.5)
    assert (first["l0"], rows[5]["l0"]) == ("64.0", "0.0")
    assert first["target"] == ""
    assert len({row["digest"] for row in rows}) == 10


def test_the_summary_has_the_numbers_of_the_page(single: Path) -> None:
    found = msgspec.json.decode((single.parent / "summary.json").read_bytes())
    (result,) = found["results"]
    assert result["statistics"]["success_rate"]["value"] == 0.875
    assert result["statistics"]["queries_of_attacked"]["median"] == 15
    assert result["audit"]["violation"] == 0
    assert (result["eps"], result["seed"], result["complete"]) == (8 / 255, 7, True)
    assert result["parameters"] == {"norm": "linf", "share": 0.05}


def test_the_stored_inputs_are_those_of_the_result(single: Path) -> None:
    result = attack_result([3, 10, 30, None, 50, Outcome.SKIPPED, Outcome.ERROR, 1, 1, 20])
    with np.load(single.parent / "adversarial.npz", allow_pickle=False) as arrays:
        assert arrays["adversarial"].dtype == np.uint8
        assert np.array_equal(arrays["adversarial"], result.adversarial)
        assert np.array_equal(arrays["clean"], result.clean)
        assert arrays["labels"].tolist() == [index % 4 for index in range(10)]
        assert arrays["targets"].tolist() == [-1] * 10
        assert arrays["success"].sum() == 7


def test_pictures_are_the_inputs_and_their_amplified_difference(single: Path) -> None:
    result = attack_result([3, 10, 30, None, 50, Outcome.SKIPPED, Outcome.ERROR, 1, 1, 20])
    shown = {
        part: np.asarray(Image.open(single.parent / "pictures" / f"0001-{part}.png"))
        for part in ("clean", "adversarial", "difference")
    }
    assert np.array_equal(shown["clean"], result.clean[1].transpose(1, 2, 0))
    assert np.array_equal(shown["adversarial"], result.adversarial[1].transpose(1, 2, 0))
    rises = result.adversarial[1] > result.clean[1]
    assert np.array_equal(shown["difference"] > 128, rises.transpose(1, 2, 0))
    assert "amplified 16 times" in Page(single).text
    assert not (single.parent / "pictures" / "0005-clean.png").exists()  # skipped


def test_hostile_names_are_text(tmp_path: Path) -> None:
    result = attack_result([3, None, Outcome.ERROR])
    inputs = tuple(replace(one, name=HOSTILE, message=HOSTILE) for one in result.inputs)
    result = replace(
        result,
        inputs=inputs,
        classes=tuple(f"{HOSTILE}{place}" for place in range(4)),
        oracle=HOSTILE,
        attack=HOSTILE,
        identity={HOSTILE: HOSTILE},
        warnings=(HOSTILE,),
        parameters={HOSTILE: HOSTILE},
    )
    path = write_report([result, replace(result, eps=9 / 255)], tmp_path, title=HOSTILE)
    page = Page(path)
    assert "script" not in page.tags
    assert HOSTILE in page.text
    for figure in (tmp_path / "figures").glob("*.svg"):
        assert b"<script" not in figure.read_bytes()


@pytest.mark.usefixtures("plain_figures")
def test_no_cell_of_the_rows_is_a_formula(tmp_path: Path) -> None:
    result = attack_result([3])
    one = replace(result.inputs[0], name="=cmd()", message="+1")
    write_report([replace(result, inputs=(one,), classes=("@a", "-b", "c", "d"))], tmp_path)
    (row,) = csv.DictReader(io.StringIO((tmp_path / "rows.csv").read_text("utf-8")))
    assert (row["name"], row["message"]) == ("'=cmd()", "'+1")
    assert (row["label_name"], row["adversarial_name"]) == ("'@a", "'-b")


@pytest.mark.usefixtures("plain_figures")
def test_the_rows_are_parquet_too_where_pyarrow_is_installed(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_report([attack_result([3, None, Outcome.SKIPPED])], tmp_path)
    rows = parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    assert [row["outcome"] for row in rows] == ["success", "failed", "skipped"]
    assert [row["verified"] for row in rows] == [True, None, None]
    assert [row["queries"] for row in rows] == [3, 100, 0]
    assert rows[0]["linf"] == 8 / 255


@pytest.mark.usefixtures("plain_figures")
def test_a_partial_result_says_so_first(tmp_path: Path) -> None:
    result = attack_result([3, None, Outcome.UNFINISHED, Outcome.UNFINISHED])
    text = Page(write_report([replace(result, complete=False)], tmp_path)).text
    assert "Partial result: the attack was stopped before its end, and 2 of 4 inputs" in text
    assert text.index("Partial result") < text.index("square fooled")


@pytest.mark.usefixtures("plain_figures")
def test_warnings_and_flags_stand_before_the_numbers(tmp_path: Path) -> None:
    result = attack_result([3, 4])
    refuted = replace(result.inputs[0], verified=False, adversarial_label=0)
    result = replace(
        result, inputs=(refuted, result.inputs[1]), warnings=("The quota was used up.",)
    )
    path = write_report([result], tmp_path, flags=[Flag("random", "It is random.")])
    text = Page(path).text
    start = text[: text.index("Success rate")]
    assert "Note: The quota was used up." in start
    assert "Doubtful: It is random." in start
    assert "measured afresh: 1." in start
    assert "Audit passed" not in text


def test_several_sizes_of_the_ball_make_a_curve_and_a_column_each(tmp_path: Path) -> None:
    results = [
        attack_result([None, None, 9, Outcome.SKIPPED], eps=2 / 255),
        attack_result([5, None, 4, Outcome.SKIPPED], eps=8 / 255),
    ]
    text = Page(write_report(results, tmp_path)).text
    assert "success rate 33.3 % [6.1, 79.2] 66.7 % [20.8, 93.9]" in text
    assert "L∞ ≤ 2/255 L∞ ≤ 8/255" in text
    assert (tmp_path / "figures" / "robustness.svg").is_file()
    assert (tmp_path / "adversarial-1.npz").is_file()
    assert (tmp_path / "pictures" / "2-0000-clean.png").is_file()


@pytest.mark.usefixtures("plain_figures")
def test_scores_that_mislead_a_search_are_flagged(tmp_path: Path) -> None:
    text = Page(write_report([attack_result([3, 4], scores=np.eye(4)[:2])], tmp_path)).text
    assert "Doubtful: 2 of 2 clean inputs have a class of probability 1" in text


@pytest.mark.usefixtures("plain_figures")
def test_several_attacks_are_joined_and_gradients_that_lose_are_flagged(tmp_path: Path) -> None:
    results = [attack_result([5, 6, None, None]), attack_result([9, None, None, 9], attack="nes")]
    text = Page(write_report(results, tmp_path / "a")).text
    assert "together leave a robust accuracy of 25.0 %" in text
    assert "mask" not in text


@pytest.mark.usefixtures("plain_figures")
def test_a_white_box_that_loses_is_flagged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = [attack_result([5, 6, None]), attack_result([9, None, None], attack="adam")]
    text = Page(write_report(results, tmp_path)).text
    assert "square without gradients fooled the model on 2 of 3 inputs, and adam" in text


@pytest.mark.usefixtures("plain_figures")
def test_a_series_is_drawn_and_a_row_of_a_table_lists_changed_features(tmp_path: Path) -> None:
    series = write_report([attack_result([3, None], shape=(2, 40))], tmp_path / "series")
    assert "cat 0.750 → dog 0.625" in Page(series).text
    names = tuple(f"feature <{place}>" for place in range(20))
    table = attack_result([3, None], shape=(20,), features=names)
    text = Page(write_report([table], tmp_path / "table")).text
    assert "20 of 20 values changed; the 12 largest changes are shown" in text
    assert re.search(r"feature <\d+> 0\.\d+ 0\.\d+ [+-]0\.03137", text)
    assert not (tmp_path / "table" / "pictures").exists()


@pytest.mark.usefixtures("plain_figures")
@pytest.mark.parametrize("shape", [(5, 6, 6), (4, 3, 8, 8), (300,)])
def test_inputs_of_every_shape_have_a_report(shape: tuple[int, ...], tmp_path: Path) -> None:
    Page(write_report([attack_result([3, None, 5], shape=shape)], tmp_path))


@pytest.mark.usefixtures("plain_figures")
def test_a_result_of_floats_and_one_without_inputs_have_a_report(tmp_path: Path) -> None:
    result = attack_result([3, None])
    floats = replace(
        result,
        clean=result.clean.astype(np.float32) / np.float32(255),
        adversarial=result.adversarial.astype(np.float32) / np.float32(255),
    )
    assert "no, as float32" in Page(write_report([floats], tmp_path / "floats")).text
    assert "attacked no input" in Page(write_report([attack_result([])], tmp_path / "empty")).text
    with pytest.raises(InvalidInput, match="at least one result"):
        write_report([], tmp_path / "none")


@pytest.mark.usefixtures("plain_figures")
def test_a_thousand_inputs_make_a_page_below_ten_megabytes(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    stops = [int(n) if n < 900 else None for n in random.integers(1, 1000, 1000)]
    result = attack_result(stops, shape=(3, 32, 32), budget=1000)
    path = write_report([result], tmp_path, pictures=5)
    assert path.stat().st_size < 10e6
    assert "24 of 1,000 attacked inputs are shown, 976 are left out" in Page(path).text


@pytest.mark.usefixtures("plain_figures")
def test_large_pictures_are_shrunk_in_the_page(tmp_path: Path) -> None:
    result = attack_result([3] * 8, shape=(3, 224, 224))
    path = write_report([result], tmp_path, pictures=0)
    assert path.stat().st_size < 2e6
    with Image.open(tmp_path / "pictures" / "0000-clean.png") as picture:
        assert picture.size == (224, 224)


@pytest.mark.usefixtures("plain_figures")
def test_a_second_report_replaces_the_first(tmp_path: Path) -> None:
    write_report([attack_result([3, 4]), attack_result([3, 4], eps=4 / 255)], tmp_path)
    other = tmp_path / "pictures" / "mine.png"
    other.write_bytes(b"mine")
    write_report([attack_result([3])], tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.npz")) == ["adversarial.npz"]
    pictures = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    parts = ("adversarial", "clean", "difference")
    assert pictures == [*[f"0000-{part}.png" for part in parts], "mine.png"]


def test_the_same_result_makes_the_same_files(tmp_path: Path) -> None:
    def written(folder: Path) -> dict[str, bytes]:
        write_report([attack_result([3, None, 9])], folder)
        paths = [path for path in folder.rglob("*") if path.is_file()]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}

    first, second = written(tmp_path / "a"), written(tmp_path / "b")
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


@pytest.mark.usefixtures("plain_figures")
def test_a_folder_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("taken")
    with pytest.raises(InvalidInput, match="another folder"):
        write_report([attack_result([3])], tmp_path / "file")


@pytest.mark.usefixtures("plain_figures")
def test_lost_labels_make_no_clean_accuracy(tmp_path: Path) -> None:
    result: AttackResult = attack_result([3, None], own_labels=True)
    text = Page(write_report([result], tmp_path)).text
    assert "clean accuracy –" in text
    assert "labels the model's own answers" in text
