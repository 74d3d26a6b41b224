"""The page of the transformations names every one, and its examples run."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import blackbox_am
from blackbox_am import plugins
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.types import StudyState

TEXT = (Path(blackbox_am.__file__).parent / "transforms" / "README.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_page_names_every_transformation():
    table = re.findall(r"\| --- .*?\n\n", TEXT, re.DOTALL)[0]
    named = re.findall(r"^\| `([a-z_]+)`", table, re.MULTILINE)
    assert sorted(named) == plugins.transforms.names()


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(0, id="first", marks=pytest.mark.slow),
        pytest.param(1, id="vit"),
        pytest.param(2, id="maco", marks=pytest.mark.slow),
    ],
)
def test_an_example_runs(place: int, monkeypatch: pytest.MonkeyPatch):
    example, found = EXAMPLES[place], list[Any]()
    whole = blackbox_am.maximise

    def short(**options: Any) -> Any:
        found.append(whole(**options | {"queries_per_target": 40, "device": "cpu"}))
        return found[-1]

    monkeypatch.setattr(blackbox_am, "maximise", short)
    exec(example, {})
    (result,) = found
    assert result.progress.state is StudyState.SUCCEEDED
    rechecked = [best.recheck is not None for best in result.best]
    assert all(rechecked) == ("generation" in example.partition("redraw")[2])


def test_the_configuration_is_valid():
    (block,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    oracle = Catalogue.from_plain(tomllib.loads(block)).oracle("robust")
    assert oracle.describe().wrappers == ("transformed",)
