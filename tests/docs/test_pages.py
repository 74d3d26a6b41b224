"""The pages of the documentation: their programs and commands run, and what they name exists.

A program is the ```python blocks of a page, in their order. A block with a title is a file. A block
```sh is run line by line; `sh check` says that its commands need what a test has not, so that only
their names and options are checked, as in indented blocks. Budgets are made small. A comment
`<!-- not run: REASON -->` before a block of a program leaves it out.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from typer.testing import CliRunner

import blackbox_am
from blackbox_am.cli import app
from blackbox_am.cli.app import every_command

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
QUERIES = 20
ELSEWHERE = {"results.md": "its own test looks at what its program prints"}
SLOW = {"analysis.md", "visualisation.md", "how_to/cnn_layer.md", "how_to/own_generator.md"}
"""Pages whose programs take longer than a few seconds."""
SERVER = "localhost:50051"
_BLOCK = re.compile(
    r"^(?P<out><!-- not run: [^>]+? -->\n+)?"
    r"```(?P<kind>python|sh|toml)(?P<more>[^\n]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_TITLE = re.compile(r'title="([^"]+)"')
_INDENTED = re.compile(r"^    (blackbox-am (?:[^\\\n]|\\\n)*)", re.MULTILINE)
_BUDGET = re.compile(r"(queries_per_target=|--queries |-q )(\d+)")


@dataclass(frozen=True)
class Block:
    """A block of a page: its language, what stands behind it, and its text."""

    kind: str
    more: str
    text: str
    left_out: bool


def blocks(page: Path) -> list[Block]:
    return [
        Block(found["kind"], found["more"].strip(), found["text"], bool(found["out"]))
        for found in _BLOCK.finditer(page.read_text("utf-8"))
    ]


def commands(text: str) -> list[str]:
    lines = text.replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def name(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


def small(text: str) -> str:
    return _BUDGET.sub(lambda found: f"{found[1]}{min(int(found[2]), QUERIES)}", text)


def runs() -> list[Any]:
    found = []
    for page in PAGES:
        some = any(one.kind in ("python", "sh") and one.more != "check" for one in blocks(page))
        if some and name(page) not in ELSEWHERE:
            marks = [pytest.mark.slow] if name(page) in SLOW else []
            found.append(pytest.param(page, id=name(page), marks=marks))
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    from blackbox_am.service import Config, running

    store = tmp_path_factory.mktemp("server") / "studies.sqlite3"
    with running(Config(address="127.0.0.1:0", store=str(store))) as address:
        yield address


@pytest.mark.parametrize("page", runs())
def test_the_blocks_of_a_page_run(page, tmp_path, monkeypatch, request):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    mpl.use("agg")
    found = blocks(page)
    address = SERVER
    if any(SERVER in block.text for block in found):
        address = request.getfixturevalue("server")
    names: dict[str, Any] = {"blackbox_am": blackbox_am}
    for block in found:
        if block.left_out:
            continue
        title = _TITLE.search(block.more)
        if title is not None:
            (tmp_path / title[1]).write_text(block.text)
        elif block.kind == "python":
            text = small(block.text).replace(SERVER, address)
            exec(compile(text, name(page), "exec"), names)
        elif block.kind == "sh" and block.more != "check":
            for line in commands(small(block.text)):
                run(line)


def run(line: str) -> None:
    words = shlex.split(line)
    if words[0] == "pip":
        assert words[1] == "install"
        return
    assert words[0] == "blackbox-am", line
    result = CliRunner().invoke(app, words[1:])
    assert result.exit_code == 0, f"{line}\n{result.output}"
    for option, value in pairwise(words):
        if option in ("--out", "-o"):
            assert os.path.exists(value), f"{line} wrote no {value}"  # noqa: PTH110


@pytest.fixture(scope="module")
def root():
    return every_command()


@pytest.mark.parametrize("page", [pytest.param(page, id=name(page)) for page in PAGES])
def test_the_commands_of_a_page_exist(page, root):
    text = page.read_text("utf-8")
    lines = [line for one in blocks(page) if one.kind == "sh" for line in commands(one.text)]
    lines += [line.replace("\\\n", " ") for line in _INDENTED.findall(text)]
    for line in lines:
        words = shlex.split(line, comments=True)
        if words[:1] == ["blackbox-am"]:
            check(line, words[1:], root)


def check(line: str, words: list[str], command: Any) -> None:
    """Checks that a command line names commands and options that there are."""
    while words and getattr(command, "commands", None):
        if words[0] not in command.commands:
            break
        command = command.commands[words.pop(0)]
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    asked = {word.partition("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)}
    assert asked <= known | {"--help"}, line
    if getattr(command, "commands", None) and not command.invoke_without_command:
        assert set(words) <= {"--help", "--version"}, f"no such command: {line}"


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_loads_nothing(tmp_path):
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path / "site")))
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        text = page.read_text("utf-8")
        assert not re.search(r'<(script|link|img|iframe)[^>]*(src|href)="?(https?:)?//', text), page


def test_every_public_name_and_error_is_in_the_reference():
    import importlib.util

    place = DOCS / "hooks" / "reference.py"
    spec = importlib.util.spec_from_file_location("reference", place)
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    pages = reference.pages()
    for public in blackbox_am.__all__:
        assert public.startswith("__") or f"## `{public}`" in pages["python"]
    for error in ("NotFound", "QuotaExceeded", "StoreCorrupt"):
        assert f"`{error}`" in pages["errors"]
    for command in ("study create", "run", "attack compare", "bench loop"):
        assert f" {command}`" in pages["cli"]
    for key in ('### kind = "onnx"', "## \\[server]", "`stimulus_shape`"):
        assert key in pages["toml"]
    assert "| `CreateStudy` |" in pages["wire"]
