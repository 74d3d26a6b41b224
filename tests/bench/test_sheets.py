"""Tables of benchmarks as pages."""

from pathlib import Path

import pytest

from blackbox_am.bench.sheets import BEGIN, END, Sheet, publish, write_between_marks
from blackbox_am.errors import InvalidInput

COMMAND = "blackbox-am bench things"


def sheet(title: str) -> Sheet:
    return Sheet(title, ("name", "number"), (("a|b", "1"),), ("A note.",))


def test_a_page_is_made_filled_and_filled_again(tmp_path: Path, capsys) -> None:
    page = tmp_path / "things.md"
    publish({"speed": [sheet("first")], "search": [sheet("other")]}, COMMAND, page)
    assert "first" in capsys.readouterr().out
    text = page.read_text()
    assert text.startswith(f"# {COMMAND}\n\n## Speed\n\n<!-- begin: {COMMAND}, speed -->")
    assert "| a\\|b | 1 |" in text
    assert text.index("## Speed") < text.index("**first**") < text.index("## Search")
    # Prose of the page stays, the table is replaced.
    page.write_text(text.replace("## Search", "Words about speed.\n\n## Search"))
    publish({"speed": [sheet("second")]}, COMMAND, page)
    again = page.read_text()
    assert "first" not in again
    assert again.replace("second", "first").replace("Words about speed.\n\n", "") == text


def test_a_page_with_other_marks_gets_a_section(tmp_path: Path) -> None:
    page = tmp_path / "things.md"
    page.write_text("Prose.\n")
    write_between_marks(page, f"{COMMAND}, 300 queries", [sheet("t")])
    write_between_marks(page, f"{COMMAND}, 300 queries", [sheet("t")])
    assert page.read_text().count("**t**") == 1
    assert page.read_text().startswith("Prose.\n\n## 300 queries\n")


@pytest.mark.parametrize(
    "text",
    [
        BEGIN.format(command=COMMAND),
        END.format(command=COMMAND),
        END.format(command=COMMAND) + "\n" + BEGIN.format(command=COMMAND),
    ],
)
def test_a_broken_pair_of_marks_is_refused_and_nothing_written(tmp_path: Path, text: str) -> None:
    page = tmp_path / "things.md"
    page.write_text(text)
    with pytest.raises(InvalidInput, match="remove both"):
        write_between_marks(page, COMMAND, [sheet("t")])
    assert page.read_text() == text


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="does not exist"):
        write_between_marks(tmp_path / "none" / "a.md", COMMAND, [sheet("t")])
