"""The card beside weights: README.md, whose first lines name the licence."""

from __future__ import annotations

import re
from pathlib import Path

CARD = "README.md"
_LICENCE = re.compile(r"\A---\n(?:.*\n)*?license: *(\S.*)")
"""In the first lines of a model card."""


def card_licence(folder: Path) -> str:
    """The `license: ...` line of the card in `folder`; empty if there is none."""
    try:
        card = (folder / CARD).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    found = _LICENCE.search(card)
    return found[1].strip() if found else ""
