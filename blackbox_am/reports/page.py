"""Pages from templates, with every text escaped."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from blackbox_am.version import __version__

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> str:
    """The page that `template` makes of `values`.

    Texts in `values` are escaped in the template. A value that the template needs and does not get
    is an error, not an empty place.

    Args:
        template: name of a file in `templates/`.
        values: what the template shows.
    """
    return _environment().get_template(template).render(version=__version__, **values)


def write_page(path: Path, page: str) -> Path:
    """Write a page to its place in one step, so that a reader never sees half of it. Its folder is
    created if it is missing.

    Raises:
        OSError: if the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_text(page, "utf-8")
    return unfinished.replace(path)


def render_script(name: str) -> tuple[Markup, str]:
    """A script of `templates/` for a page, and the source of it that the page's security policy
    must allow: its digest, so that a browser runs this script and no other.
    """
    text = (TEMPLATES / name).read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Markup(text), f"'sha256-{digest}'"  # noqa: S704  # a file of the package


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["count"] = count
    return environment


def count(number: float) -> str:
    """A number with separators of thousands, and with one decimal unless it is 0."""
    return f"{number:,.1f}".removesuffix(".0")
