"""The gallery of a report: clean and adversarial inputs, and their difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blackbox_am.attacks.report.wording import NONE, OUTCOMES, class_text
from blackbox_am.attacks.results import AttackedInput, AttackResult, Outcome, float_stimuli
from blackbox_am.core.stimuli import Numbers, as_picture, in_unit_interval, is_series
from blackbox_am.plots import change
from blackbox_am.reports import data_uri, figure_png, png, shrunk

SIDE = 128
"""Pixels of a picture in the page; larger pictures are shrunk, and whole in `pictures/`."""
_SHARP = 64
"""Pictures of at most so many pixels are enlarged without smoothing."""
_FEATURES = 12
_TABLE = 64


@dataclass(frozen=True)
class Shown:
    """A clean or an adversarial input, or their difference.

    Attributes:
        title: what the picture is.
        answer: the model's answer and its score, if there is one.
        uri: the picture as data URI.
    """

    title: str
    answer: str
    uri: str


@dataclass(frozen=True)
class Card:
    """One input of the gallery; it has either pictures, a drawing or changed features.

    Attributes:
        name: file name of the input.
        outcome: `fooled`, `not fooled`.
        success: whether the input was fooled.
        facts: what is known of the attack on this input, in words.
        pictures: clean, adversarial, difference.
        sharp: whether pictures are enlarged without smoothing.
        drawing: a figure as data URI.
        features: name, clean value, adversarial value and change of the most changed features.
        unsaid: what is not shown, in words.
    """

    name: str
    outcome: str
    success: bool
    facts: tuple[str, ...]
    pictures: tuple[Shown, ...] = ()
    sharp: bool = False
    drawing: str = ""
    features: tuple[tuple[str, str, str, str], ...] = ()
    unsaid: str = ""


@dataclass(frozen=True)
class Gallery:
    """The gallery of one result.

    Attributes:
        cards: the inputs.
        factor: amplification of the differences.
        files: number of inputs whose pictures are files in the folder `pictures`.
    """

    cards: tuple[Card, ...]
    factor: float
    files: int


def kind_of(shape: tuple[int, ...]) -> str:
    """How inputs of a shape are shown: `picture`, `series` or `table`."""
    if len(shape) == 1:
        return "table" if shape[0] <= _TABLE else "series"
    return "series" if is_series(shape) or len(shape) > 4 else "picture"


def chosen(result: AttackResult, most: int) -> list[int]:
    """Positions of the inputs to show: at most `most`, those that a reader must see first.

    Inputs that a fresh query refuted come first. A sixth of the places is for failures, more if
    there are few successes. The successes are spread evenly over the numbers of queries.
    """
    place = {one.index: row for row, one in enumerate(result.inputs)}
    doubtful = [one for one in result.attacked if one.verified is False]
    sure = [one for one in result.of(Outcome.SUCCESS) if one.verified is not False]
    failed = [one for one in result.of(Outcome.FAILED) if one.verified is not False]
    doubtful = doubtful[:most]
    left = most - len(doubtful)
    failures = min(len(failed), max(left // 6, left - len(sure)))
    successes = _spread(sorted(sure, key=lambda one: one.queries), left - failures)
    return [place[one.index] for one in (*doubtful, *successes, *_spread(failed, failures))]


def amplification(result: AttackResult, rows: Sequence[int]) -> float:
    """The factor that makes the largest change of these inputs half of the range."""
    clean, adversarial = (float_stimuli(part) for part in (result.clean, result.adversarial))
    changes = [np.abs(np.nan_to_num(adversarial[row] - clean[row])).max(initial=0) for row in rows]
    largest = float(max(changes, default=0.0))
    factor = 0.5 / largest if largest > 0 else 1.0
    return float(round(factor)) if factor >= 2 else round(factor, 2)


def difference(
    clean: NDArray[np.generic], adversarial: NDArray[np.generic], factor: float
) -> Numbers:
    """The amplified change around grey, as a stimulus in [0, 1]."""
    change_of = float_stimuli(np.asarray(adversarial)) - float_stimuli(np.asarray(clean))
    shown: Numbers = np.clip(0.5 + np.nan_to_num(change_of) * np.float32(factor), 0, 1)
    return shown


def whole_pictures(result: AttackResult, row: int, factor: float) -> dict[str, bytes]:
    """The pictures of one input as PNG of full size, by `clean`, `adversarial`, `difference`."""
    parts = _parts(result, row, factor)
    return {name: png(as_picture(part)[0]) for name, part in parts.items()}


def card(result: AttackResult, row: int, factor: float) -> Card:
    """The card of one input."""
    one = result.inputs[row]
    kind = kind_of(result.clean.shape[1:])
    about = Card(
        name=one.name,
        outcome=OUTCOMES[one.outcome],
        success=one.outcome is Outcome.SUCCESS,
        facts=tuple(_facts(result, one)),
    )
    if kind == "picture":
        return _with_pictures(about, result, row, factor)
    if kind == "series":
        drawn = change(result.clean[row], result.adversarial[row])
        return Card(**{**vars(about), "drawing": data_uri(figure_png(drawn))})
    return _with_features(about, result, row)


def _with_pictures(about: Card, result: AttackResult, row: int, factor: float) -> Card:
    one = result.inputs[row]
    parts = {name: as_picture(part) for name, part in _parts(result, row, factor).items()}
    answers = {
        "clean": _answer(result, one.clean_label, one.clean_score),
        "adversarial": _answer(result, one.adversarial_label, one.adversarial_score),
        "difference": f"× {factor:g}",
    }
    pictures = tuple(
        Shown(name, answers[name], data_uri(png(shrunk(picture, SIDE))))
        for name, (picture, _) in parts.items()
    )
    sharp = max(parts["clean"][0].shape[:2]) <= _SHARP
    unsaid = parts["clean"][1]
    return Card(**{**vars(about), "pictures": pictures, "sharp": sharp, "unsaid": unsaid})


def _with_features(about: Card, result: AttackResult, row: int) -> Card:
    clean, adversarial = (float_stimuli(part[row]) for part in (result.clean, result.adversarial))
    changes = np.nan_to_num(adversarial - clean)
    changed = [int(place) for place in np.argsort(-np.abs(changes), kind="stable")]
    changed = [place for place in changed if changes[place]]
    names = result.features or tuple(f"value {place}" for place in range(len(clean)))
    shown = tuple(
        (names[at], f"{clean[at]:.4g}", f"{adversarial[at]:.4g}", f"{changes[at]:+.4g}")
        for at in changed[:_FEATURES]
    )
    left = len(changed) - len(shown)
    unsaid = f"{len(changed)} of {len(clean)} values changed" + (
        f"; the {len(shown)} largest changes are shown" if left else ""
    )
    return Card(**{**vars(about), "features": shown, "unsaid": unsaid})


def _facts(result: AttackResult, one: AttackedInput) -> list[str]:
    ended = "all " if one.outcome is Outcome.FAILED and one.queries >= result.budget else ""
    facts = [f"after {ended}{one.queries:,} {'query' if one.queries == 1 else 'queries'}"]
    if kind_of(result.clean.shape[1:]) != "picture":
        before = _answer(result, one.clean_label, one.clean_score)
        after = _answer(result, one.adversarial_label, one.adversarial_score)
        facts.append(before if one.adversarial_label is None else f"{before} → {after}")
    if one.label is not None and one.clean_label is not None and one.label != one.clean_label:
        facts.append(f"true class {class_text(result.classes, one.label)}")
    if one.target is not None:
        facts.append(f"wanted class {class_text(result.classes, one.target)}")
    if one.verified is False:
        facts.append("the search saw it fooled, and a fresh query of the stored input refuted this")
    return facts


def _answer(result: AttackResult, label: int | None, score: float | None) -> str:
    if label is None:
        return NONE
    name = class_text(result.classes, label)
    return name if score is None else f"{name} {score:.3f}"


def _parts(result: AttackResult, row: int, factor: float) -> dict[str, Numbers]:
    clean, adversarial = result.clean[row], result.adversarial[row]
    return {
        "clean": in_unit_interval(clean),
        "adversarial": in_unit_interval(adversarial),
        "difference": difference(clean, adversarial, factor),
    }


def _spread(inputs: Sequence[AttackedInput], most: int) -> list[AttackedInput]:
    """At most `most` of the inputs, evenly spaced, with the first and the last."""
    if len(inputs) <= most:
        return list(inputs)
    places = np.unique(np.linspace(0, len(inputs) - 1, most).round().astype(int))
    return [inputs[place] for place in places]
