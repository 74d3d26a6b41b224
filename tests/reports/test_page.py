"""Templates escape texts, miss nothing, and are in the wheel."""

from __future__ import annotations

import base64
import hashlib
import tomllib
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from blackbox_am.reports import render, render_script
from blackbox_am.reports.page import TEMPLATES, count

OWN_SCRIPT = "<script>{{ script }}</script>"
"""The one place of a script, which `render_script` reads from the package."""


def test_a_script_is_allowed_by_its_digest_alone() -> None:
    script, source = render_script("sorting.js")
    digest = hashlib.sha256((TEMPLATES / "sorting.js").read_bytes()).digest()
    assert source == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert "</script" not in script


def test_texts_are_escaped() -> None:
    page = render("base.html", title='<script>x</script> & "y"')
    assert "<script" not in page
    assert "<title>&lt;script&gt;x&lt;/script&gt; &amp; &#34;y&#34;</title>" in page


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="title"):
        render("base.html")


@pytest.mark.parametrize("path", sorted(TEMPLATES.iterdir()), ids=lambda path: path.name)
def test_templates_escape_everything_and_load_nothing(path: Path) -> None:
    text = path.read_text("utf-8").replace(OWN_SCRIPT, "")
    for forbidden in (
        "|safe",
        "| safe",
        "autoescape false",
        "<script",
        "http:",
        "https:",
        "@import",
    ):
        assert forbidden not in text


def test_the_wheel_has_the_templates() -> None:
    root = Path(__file__).parents[2]
    settings = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["blackbox_am"]
    packed = {path for pattern in patterns for path in (root / "blackbox_am").glob(pattern)}
    assert set(TEMPLATES.iterdir()) <= packed


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (12345, "12,345"), (2.5, "2.5"), (209.99999, "210"), (0.04, "0")]
)
def test_numbers_have_at_most_one_decimal(number: float, text: str) -> None:
    assert count(number) == text
