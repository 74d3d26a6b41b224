"""The passports of several units of one layer, with an index."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from blackbox_am.analysis.figures import bars_figure
from blackbox_am.analysis.passport.layer import LayerFlags
from blackbox_am.analysis.passport.passport import Passport, thumbnail
from blackbox_am.analysis.results import Analysis, Arrays, cost_in_words, in_words
from blackbox_am.analysis.writing import write_folder
from blackbox_am.reports import render


@dataclass(frozen=True, kw_only=True)
class Passports(Analysis):
    """Passports of U units.

    Attributes:
        units: one passport a unit.
        layer: flags of the units.
    """

    units: tuple[Passport, ...]
    layer: LayerFlags

    def data(self) -> Arrays:
        return {
            "units": np.array([one.subject for one in self.units]),
            "natural": np.stack([one.scores for one in self.units], axis=1),
            "dead": self.layer.dead,
            "constant": self.layer.constant,
            "saturated": self.layer.saturated,
            "correlations": self.layer.correlations,
        }

    def plot(self) -> Figure:
        """The natural maximum and the best search score of each unit."""
        names = [one.subject for one in self.units]
        bars = [("natural maximum", np.array([one.scores.max() for one in self.units]), None)]
        if all(one.excited for one in self.units):
            best = np.array([one.best.score for one in self.units if one.best is not None])
            bars.append(("best search", best, None))
        return bars_figure(names, bars, y_label="activation", most=len(names))

    def lead(self) -> list[str]:
        counts = {
            "dead": int(self.layer.dead.sum()),
            "constant": int(self.layer.constant.sum()),
            "saturated": int(self.layer.saturated.sum()),
        }
        flags = ", ".join(f"{count} {name}" for name, count in counts.items())
        sentences = [
            f"{len(self.units)} units: {flags}, {len(self.layer.duplicates)} pairs of duplicates."
        ]
        found = [one for one in self.units if one.best is not None]
        if found:
            fooling = sum(any(e.fooling for e in one.excited) for one in found)
            sentences.append(
                f"Searches fooled {fooling} of {len(found)} units: a score above every natural "
                "stimulus by a picture that is not plausible."
            )
        return sentences

    def page(self) -> str:
        """The index, with a picture of each unit and a link to its page."""
        return render(
            "passports.html",
            title=f"Passports: {self.subject}",
            subtitle=self.model,
            lead=self.lead(),
            notes=self.notes,
            cards=[_card(one) for one in self.units],
            tables_of_numbers=[],
            parameters=[(name, in_words(value)) for name, value in self.parameters.items()],
            spent=cost_in_words(self.spent),
        )

    def save(self, folder: Path | str) -> Path:
        """Write the index, one page a unit, `data.npz` and `plot.png` into `folder`.

        Raises:
            InvalidInput: if the folder cannot be written.
        """
        parts = {file_of(one.subject): one.page() for one in self.units}
        return write_folder(Path(folder), self.page(), self.data(), self.plot(), parts)


def file_of(unit: str) -> str:
    """The name of a unit's page, without characters that a file system or a link minds.

    Units with such characters get a digest, so that no two units have one name.
    """
    plain = re.sub(r"[^0-9A-Za-z._-]+", "-", unit).strip("-")
    unusual = re.search(r"[^0-9A-Za-z._:-]", unit) is not None
    return f"unit-{plain}-{zlib.crc32(unit.encode()):08x}.html" if unusual else f"unit-{plain}.html"


def _card(one: Passport) -> dict[str, object]:
    best = one.best
    pictures = [{"uri": thumbnail(one.top[0]), "text": "best natural stimulus"}]
    if best is not None:
        pictures.insert(0, {"uri": thumbnail(best.stimulus), "text": "search"})
    facts = [f"natural max {one.scores.max():.3g}"]
    if best is not None:
        facts.append(f"search {best.score:.3g}")
    flags = [*one.flags, *(["duplicate"] if one.twins else [])]
    flags += ["fooling"] if any(each.fooling for each in one.excited) else []
    return {
        "name": one.subject,
        "file": file_of(one.subject),
        "pictures": pictures,
        "facts": ", ".join(facts),
        "flags": ", ".join(flags),
    }
