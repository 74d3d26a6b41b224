"""The passport of one unit."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from blackbox_am.analysis.passport.excited import Excited
from blackbox_am.analysis.passport.figure import passport_figure
from blackbox_am.analysis.passport.tuning import Tuning
from blackbox_am.analysis.results import Analysis, Arrays, Drawn, TableOfNumbers, cost_in_words
from blackbox_am.core.stimuli import as_picture, in_unit_interval
from blackbox_am.core.types import FloatArray
from blackbox_am.reports import data_uri, figure_svg, png, render, shrunk

LARGEST_PICTURE = 128
AGREE = 0.5
"""Correlation of the pictures of two seeds above which they count as the same answer."""

_FIELD = "fall when the place is hidden, first stimulus above"


@dataclass(frozen=True, kw_only=True)
class Passport(Analysis):
    """What is known of one unit.

    Attributes:
        scores: (N,) activations for the natural stimuli.
        top, bottom: natural stimuli (k, *stimulus) of the largest and the smallest activation, the
            most extreme first, and
        top_places, bottom_places: (k,) their positions in the set.
        tuning: along controlled factors; empty if not measured.
        field: (*places) occlusion map of the top natural stimulus; None if not measured.
        excited: what searches found, by seed; empty without a search.
        flags: `dead`, `constant`, `saturated`.
        twins: addresses of the measured units of the layer with nearly the same activations.
    """

    scores: FloatArray
    top: NDArray[np.float32]
    bottom: NDArray[np.float32]
    top_places: NDArray[np.int64]
    bottom_places: NDArray[np.int64]
    tuning: tuple[Tuning, ...] = ()
    field: FloatArray | None = None
    excited: tuple[Excited, ...] = ()
    flags: tuple[str, ...] = ()
    twins: tuple[str, ...] = ()

    @property
    def best(self) -> Excited | None:
        """The search's result of the largest score; None without a search."""
        return max(self.excited, key=lambda one: one.score, default=None)

    @property
    def agreement(self) -> float:
        """Mean correlation of the pictures of different seeds; nan for fewer than two."""
        if len(self.excited) < 2:
            return float("nan")
        rows = np.stack([one.stimulus.ravel() for one in self.excited]).astype(np.float64)
        rows -= rows.mean(1, keepdims=True)
        norms = np.linalg.norm(rows, axis=1)
        if not norms.all():
            return float("nan")
        pairs = (rows @ rows.T) / np.outer(norms, norms)
        return float(pairs[np.triu_indices(len(rows), 1)].mean())

    def data(self) -> Arrays:
        found: Arrays = {
            "scores": self.scores, "top": self.top, "bottom": self.bottom,
            "top_places": self.top_places, "bottom_places": self.bottom_places,
        }  # fmt: skip
        for one in self.tuning:
            found |= {f"{one.factor}_values": one.values, f"{one.factor}_responses": one.responses}
        if self.field is not None:
            found["field"] = self.field
        if self.excited:
            found["am_scores"] = np.array([one.score for one in self.excited])
            found["am_stimuli"] = np.stack([one.stimulus for one in self.excited])
            found["am_plausibility"] = np.array([one.plausibility for one in self.excited])
        return found

    def plot(self) -> Figure:
        return passport_figure(self.scores, self.tuning, [one.score for one in self.excited])

    def figures(self) -> list[Drawn]:
        text = "Activations for natural stimuli; dashed: results of searches."
        if self.tuning:
            text += " Tuning along controlled factors; position: of a bright square."
        return [Drawn(self.plot(), text)]

    def lead(self) -> list[str]:
        low, high, mean = self.scores.min(), self.scores.max(), self.scores.mean()
        sentences = [
            f"Natural stimuli excite it from {low:.3g} to {high:.3g}, {mean:.3g} on average."
        ]
        if self.flags:
            sentences.append(f"The unit is {' and '.join(self.flags)} for these stimuli.")
        if self.twins:
            sentences.append(
                f"It is a duplicate of {', '.join(self.twins)} (|correlation| > 0.99)."
            )
        best = self.best
        if best is not None:
            sentences.append(f"The best search reached {best.in_words()}. {self._agreed()}".strip())
        tuned = [one for one in self.tuning if one.factor in ("orientation", "frequency")]
        if tuned and max(one.strength for one in tuned) > 0.1:
            angle, cycles = tuned
            sentences.append(
                f"Among gratings it prefers bars at {angle.best:.0f} degrees with "
                f"{cycles.best:.2g} cycles in the image."
            )
        return sentences

    def tables(self) -> list[TableOfNumbers]:
        found = []
        if self.tuning:
            rows = [(o.factor, o.best, o.measured_in, o.strength) for o in self.tuning]
            found.append(
                TableOfNumbers(
                    "Tuning",
                    ("factor", "preferred", "measured in", "strength"),
                    [(a, "see the map" if np.isnan(b) else b, c, d) for a, b, c, d in rows],
                    "Strength: range of the responses along the factor, as a part of their range "
                    "over all controlled stimuli.",
                )
            )
        return found

    def page(self) -> str:
        return render(
            "passport.html",
            title=f"Unit {self.subject}",
            subtitle=self.model,
            lead=self.lead(),
            notes=(*self.notes, *self._warnings()),
            strips=self._strips(),
            figures=[
                {"uri": data_uri(figure_svg(one.figure)), "text": one.text}
                for one in self.figures()
            ],
            tables_of_numbers=self.tables_in_words(),
            parameters=[(name, str(value)) for name, value in self.parameters.items()],
            spent=cost_in_words(self.spent),
        )

    def _warnings(self) -> tuple[str, ...]:
        fooling = [one for one in self.excited if one.fooling]
        if not fooling:
            return ()
        return (
            (
                f"{len(fooling)} of {len(self.excited)} search results score above every natural "
                "stimulus and are stranger than 99 % of them: such a picture fools the unit and "
                "says little about what it responds to in natural stimuli."
            ),
        )

    def _agreed(self) -> str:
        value = self.agreement
        if np.isnan(value):
            return ""
        seeds = f"The pictures of {len(self.excited)} seeds correlate by {value:.2f} on average"
        return seeds + ("." if value > AGREE else ": the seeds found different pictures.")

    def _strips(self) -> list[dict[str, object]]:
        names = ["study" if one.seed is None else f"seed {one.seed}" for one in self.excited]
        searched = [
            (one.stimulus, f"{name}: {one.in_words()}")
            for one, name in zip(self.excited, names, strict=True)
        ]
        maps = [] if self.field is None else [(_painted(self.field), _FIELD)]
        for one in self.tuning:
            if one.factor == "position":
                bright, dark = one.responses - one.responses.mean()
                maps += [(_painted(bright), "bright square"), (_painted(dark), "dark square")]
        top = _captioned(self.top, self.top_places, self.scores)
        bottom = _captioned(self.bottom, self.bottom_places, self.scores)
        strips = [
            _strip("Search results", searched),
            _strip("Natural stimuli of the largest activation", top),
            _strip("Natural stimuli of the smallest activation", bottom),
            _strip("Receptive field and position", maps),
        ]
        return [strip for strip in strips if strip["pictures"]]


def _captioned(
    stimuli: NDArray[np.float32], places: NDArray[np.int64], scores: FloatArray
) -> list[tuple[NDArray[np.float32], str]]:
    return [
        (stimulus, f"{scores[place]:.3g} (number {place})")
        for stimulus, place in zip(stimuli, places, strict=True)
    ]


def _strip(title: str, pictures: list[tuple[NDArray[np.float32], str]]) -> dict[str, object]:
    return {
        "title": title,
        "pictures": [{"uri": thumbnail(one), "text": text} for one, text in pictures],
    }


def thumbnail(stimulus: NDArray[np.float32]) -> str:
    """A small picture of an image as a data URI."""
    picture = stimulus
    if stimulus.shape[-1] != 3 or stimulus.ndim != 3 or stimulus.shape[0] in (1, 3):
        picture, _ = as_picture(in_unit_interval(stimulus))
    return data_uri(png(shrunk(picture, LARGEST_PICTURE)))


def _painted(values: FloatArray) -> NDArray[np.float32]:
    """(H, W, 3) a map in colours: white is 0, red is positive, blue negative."""
    largest = float(np.abs(values).max()) or 1.0
    colours = mpl.colormaps["RdBu_r"](0.5 + 0.5 * values / largest)
    return np.asarray(colours[..., :3], np.float32)
