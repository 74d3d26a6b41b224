"""The Python code of README.md runs, here with smaller budgets."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def _run(block, address="", **names):
    assert "queries_per_target=1000" in block
    small = block.replace("queries_per_target=1000", "queries_per_target=36")
    exec(compile(small.replace("localhost:50051", address), "README.md", "exec"), names)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    from blackbox_am.service import Config, running

    store = tmp_path_factory.mktemp("server") / "studies.sqlite3"
    with running(Config(address="127.0.0.1:0", store=str(store))) as address:
        yield address


def test_there_are_three_blocks_of_some_15_lines():
    assert [len(block.splitlines()) <= 16 for block in BLOCKS] == [True] * 3


def test_the_configuration_is_valid(tmp_path):
    from blackbox_am.service.config import load_config

    (block,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    file = tmp_path / "models.toml"
    file.write_text(block)
    assert "classifier" in load_config(file).catalogue.oracle_names()


def test_in_one_process(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    _run(BLOCKS[0])
    assert capsys.readouterr().out.startswith("head:3 ")
    assert np.asarray(Image.open(tmp_path / "best.png")).std() > 10


def test_on_a_server(server, capsys):
    _run(BLOCKS[1], server)
    said = capsys.readouterr().out.splitlines()
    assert said[-1].startswith("head:8 ")
    assert said[-1].endswith("(3, 32, 32)")
    assert said[-3].startswith("72 [")


def test_your_own_model(server, capsys):
    seen = []

    def show_and_record(image):
        seen.append(image.shape)
        return image.mean() if len(seen) % 5 else float("nan")

    _run(BLOCKS[2], server, show_and_record=show_and_record)
    assert seen == [(3, 32, 32)] * 36
    assert 0 < float(capsys.readouterr().out) <= 255


def test_linked_files_and_named_folders_exist():
    for path in re.findall(r"\]\(([\w./-]+)\)", TEXT):
        assert (ROOT / path).exists(), path
    for folder in re.findall(r"^\| (.*?) \|", TEXT, re.MULTILINE)[2:]:
        for name in re.findall(r"`([\w/]+)`", folder):
            assert any((base / name).is_dir() for base in (ROOT, ROOT / "blackbox_am")), name


def test_the_picture_is_small_enough():
    assert (ROOT / "docs" / "demo-montage.png").stat().st_size < 300_000
