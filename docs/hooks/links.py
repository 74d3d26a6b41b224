"""Links of pages to files outside the site: to the page that shows the file, or as a path."""

from __future__ import annotations

import posixpath
import re
from typing import Any

_LINK = re.compile(r"(!?)\[((?:[^\]\[]|\[[^\]]*\])*)\]\(([^)#:]+)(#[^)]*)?\)")
SHOWN = {
    "blackbox_am/optimizers/README.md": "docs/reference/optimizers.md",
    "blackbox_am/generators/README.md": "docs/reference/generators.md",
    "blackbox_am/transforms/README.md": "docs/reference/transforms.md",
    "protos/blackbox_am/v1/study.proto": "docs/reference/wire.md",
}
"""Files outside the site that a page shows."""
PLACES = {shown: path for path, shown in SHOWN.items() if path.endswith(".md")}
"""Where a page of the site stands in the repository, if not in docs."""


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrites the links of a page."""
    return rewritten(markdown, f"docs/{page.file.src_uri}")


def rewritten(markdown: str, shown: str) -> str:
    """`markdown` with links that work on the site.

    Args:
        markdown: of the page, with links that work in the repository.
        shown: where the page stands on the site, such as `docs/how_to/api.md`.
    """
    here = posixpath.dirname(PLACES.get(shown, shown))

    def link(found: re.Match[str]) -> str:
        picture, text, target, anchor = found[1], found[2], found[3], found[4] or ""
        path = posixpath.normpath(posixpath.join(here, target))
        path = SHOWN.get(path, path)
        if not path.startswith("docs/"):
            return f"{text} (`{path}`)"
        return f"{picture}[{text}]({posixpath.relpath(path, posixpath.dirname(shown))}{anchor})"

    return _LINK.sub(link, markdown)
