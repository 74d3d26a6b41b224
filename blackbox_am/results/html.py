"""A result in a notebook: a small table and the best stimuli, without any other file."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import TYPE_CHECKING

from blackbox_am.core.natural import in_words
from blackbox_am.core.stimuli import Stimulus
from blackbox_am.core.types import Best
from blackbox_am.results.pictures import picture_png

if TYPE_CHECKING:
    from blackbox_am.results.result import Result

SHOWN = 24
"""Largest number of targets with a picture."""
SIDE = 96
"""Width and height of a picture on the screen, and its largest size in pixels."""

_CELL = f"display:inline-block;vertical-align:top;width:{SIDE + 12}px;margin:4px 8px 4px 0"
_SMALL = "font-size:11px;line-height:1.35;overflow-wrap:anywhere"


def page(result: Result) -> str:
    """The result as HTML; every text is escaped."""
    return f"<div>{''.join(_parts(result))}</div>"


def _parts(result: Result) -> Iterator[str]:
    progress, spec = result.progress, result.spec
    facts = [
        progress.state.value
        + (f" ({progress.stop_reason.value})" * bool(progress.stop_reason.value)),
        f"{progress.search_rows:,} queries",
        f"{progress.spent.rows:,} rows of the oracle" if progress.spent.rows else "",
        progress.optimizer,
    ]
    if spec is not None:
        maker = "" if spec.generator is None else spec.generator.name
        facts += [spec.oracle or "measured by clients", maker, f"seed {spec.seed}"]
    said = " · ".join(html.escape(fact) for fact in facts if fact)
    yield f"<div><b>{html.escape(progress.study_id)}</b> <span style='{_SMALL}'>{said}</span></div>"
    for text in filter(None, [progress.message, progress.warning, *result.notes]):
        yield f"<div style='{_SMALL};color:#9a6700'>{html.escape(text)}</div>"
    for best in result.best[:SHOWN]:
        yield _cell(best)
    if len(result.best) > SHOWN:
        yield f"<div style='{_SMALL}'>and {len(result.best) - SHOWN:,} more targets</div>"


def _cell(best: Best) -> str:
    title = html.escape(best.title)
    text = f"<b>{html.escape(_score(best))}</b>"
    if best.natural is not None:
        text += f"<br>{html.escape(in_words(best.natural))}"
    picture = "" if best.stimulus is None else _picture(best.stimulus, title)
    return f"<div style='{_CELL}'>{picture}<div style='{_SMALL}'>{title}<br>{text}</div></div>"


def _picture(stimulus: Stimulus, title: str) -> str:
    from blackbox_am.reports.embedding import data_uri

    source = data_uri(picture_png(stimulus, SIDE))
    style = f"width:{SIDE}px;max-height:{SIDE}px;object-fit:contain;image-rendering:pixelated"
    return f"<img alt='{title}' title='{title}' src='{source}' style='{style}'>"


def _score(best: Best) -> str:
    error = best.recheck.best.standard_error if best.recheck else None
    return f"{best.score:.4g}" + ("" if error is None else f" ± {error:.2g}")
