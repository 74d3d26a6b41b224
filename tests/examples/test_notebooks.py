"""The notebooks run, and the outputs that they keep are small and say nothing of a machine."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "notebooks"
NOTEBOOKS = [pytest.param(path, id=path.stem) for path in sorted(FOLDER.glob("*.ipynb"))]


def kinds(book: nbformat.NotebookNode) -> list[list[str]]:
    """The kinds of the outputs of each program."""
    return [
        [one.output_type for one in cell.outputs if one.get("name") != "stderr"]
        for cell in book.cells
        if cell.cell_type == "code"
    ]


def test_there_are_three() -> None:
    assert len(NOTEBOOKS) == 3


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_the_kept_outputs_are_small_and_pictures_are_among_them(path: Path) -> None:
    assert path.stat().st_size < 100_000
    text = path.read_text("utf-8")
    assert "site-packages" not in text
    assert '"stderr"' not in text
    assert "image/png" in text
    book = nbformat.reads(text, 4)
    nbformat.validate(book)
    assert all(kinds(book)), "a program that shows nothing"


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS)
def test_a_notebook_runs_and_shows_what_it_keeps(path: Path, tmp_path: Path) -> None:
    from nbclient import NotebookClient

    kept = nbformat.read(path, 4)
    book = nbformat.read(path, 4)
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(book, timeout=600, kernel_name="python3", resources=place).execute()
    assert kinds(book) == kinds(kept)
