"""Names of units in figures: shortened in the middle where the place is short, and listed whole."""

from __future__ import annotations

from collections.abc import Sequence

DOTS = "…"


def shortened(text: str, characters: int) -> str:
    """`text` with at most `characters` characters: its beginning and its end, which has the unit,
    with dots for what is left out between them.
    """
    if len(text) <= characters:
        return text
    end = max(1, (characters - len(DOTS)) * 3 // 5)
    begin = max(characters - len(DOTS) - end, 0)
    return f"{text[:begin]}{DOTS}{text[-end:]}"


def short_names(names: Sequence[str], characters: int) -> list[str]:
    """Short names that differ wherever the whole names differ.

    Names that would look the same when they are shortened get their number before them.
    """
    short = [shortened(name, characters) for name in names]
    seen: dict[str, set[str]] = {}
    for brief, name in zip(short, names, strict=True):
        seen.setdefault(brief, set()).add(name)
    return [
        brief if len(seen[brief]) == 1 else shortened(f"{place} {name}", characters)
        for place, (brief, name) in enumerate(zip(short, names, strict=True), 1)
    ]


def legend_of(names: Sequence[str], short: Sequence[str]) -> list[str]:
    """Lines that give the whole name of each shortened name, each once."""
    pairs = dict(zip(short, names, strict=True))
    return [f"{brief} = {name}" for brief, name in pairs.items() if brief != name]
