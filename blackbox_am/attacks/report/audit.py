"""Audit of the stored inputs of an attack: the ball, the range, and the verified successes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blackbox_am.attacks.distances import changes_between, distances
from blackbox_am.attacks.problem import BALLS, LATENT, NORMS
from blackbox_am.attacks.report.flags import Flag
from blackbox_am.attacks.results import AttackedInput, AttackResult, Outcome
from blackbox_am.errors import InvalidInput, ShapeMismatch, did_you_mean

_SENTENCES = {
    "ball": (
        "Stored inputs outside the ball: {count}, {excess}. They do not belong to the threat "
        "model: do not use the numbers of this report, and report the error of the attack."
    ),
    "range": (
        "The stored values reach from {low} to {high}, outside [0, 1]. No valid input has such "
        "values: do not use the numbers of this report, and check the units of the inputs."
    ),
    "nan": (
        "Stored values that are not finite numbers: {count}. What the model answers to them proves "
        "nothing: check the inputs and the generator."
    ),
    "unverified": (
        "Inputs that the search saw fooled, and that did not fool the model when the stored input "
        "was measured afresh: {count}. {counted} of them are counted as successes. Find out "
        "whether the model is random or receives other values than the stored ones (rounding, "
        "compression, resizing)."
    ),
    "misnamed": (
        "Inputs whose fresh label contradicts their verification: {count}. Do not use the "
        "numbers of this report, and report the error of the attack."
    ),
    "unchanged": (
        "Successes that are equal to their clean input: {count}. The model does not repeat its "
        "answer to the clean input: measure the clean inputs several times."
    ),
    "unmeasured": (
        "Successes that were not measured afresh: {count}. The search saw them succeed, but "
        "nothing shows that the stored inputs do: measure the stored inputs."
    ),
}


@dataclass(frozen=True)
class Audit:
    """What the stored inputs of an attack show, independent of what the attack claims.

    Attributes:
        norm, eps: the ball.
        tolerance: the largest excess that rounding of float32 explains; 0 for `l0`.
        distances: largest distance of a stored input from its clean input, by norm: `linf`, `l2`,
            `l0` (places: pixels with all their channels, samples, columns). None without an input.
            For the ball `latent` also the distance of the codes, as the search has measured it.
        violation: by how much the largest distance in `norm` exceeds eps; 0 if it does not.
        outside: number of inputs further away than eps and the tolerance.
        lowest, highest: range of the stored values; None without a value.
        nan: number of stored values that are not finite.
        eight_bit: whether the inputs are stored as bytes.
        verified, unmeasured: successes that fooled the model again when they were measured
            afresh, and that were not measured again.
        unverified: inputs that the search saw fooled and that did not fool the model when they
            were measured afresh.
        counted: how many of these are counted as successes nevertheless.
        unchanged: successes that are equal to their clean input.
        misnamed: inputs whose fresh label contradicts `verified`.
    """

    norm: str
    eps: float
    tolerance: float
    distances: dict[str, float | None]
    violation: float
    outside: int
    lowest: float | None
    highest: float | None
    nan: int
    eight_bit: bool
    verified: int
    unverified: int
    counted: int
    unmeasured: int
    unchanged: int
    misnamed: int

    @property
    def passed(self) -> bool:
        """Whether no severe flag was found."""
        return not any(flag.severe for flag in flags_of(self))


def audit(result: AttackResult) -> Audit:
    """Measure the stored inputs of `result` in float64.

    Raises:
        InvalidInput: for an unknown norm.
        ShapeMismatch: if the arrays and the inputs have different lengths or shapes.
    """
    _check(result)
    stored = result.adversarial
    change = changes_between(result.clean, result.adversarial)
    by_norm: dict[str, NDArray[np.float64]] = {norm: distances(change, norm) for norm in NORMS}
    if result.norm == LATENT:  # only the search knows the codes
        by_norm[LATENT] = np.array([one.distances.get(LATENT, 0.0) for one in result.inputs])
    relative = 1e-5 * max(1.0, result.eps)
    tolerance = {"linf": 1e-6, "l2": relative, "l0": 0.0, LATENT: relative}[result.norm]
    excess = by_norm[result.norm] - result.eps
    finite = stored[np.isfinite(stored)]
    scale = 255.0 if stored.dtype == np.uint8 else 1.0
    successes = result.of(Outcome.SUCCESS)
    verified = [one.verified for one in successes]
    place = {one.index: row for row, one in enumerate(result.inputs)}
    return Audit(
        norm=result.norm,
        eps=result.eps,
        tolerance=tolerance,
        distances={norm: _largest(found) for norm, found in by_norm.items()},
        violation=max(0.0, _largest(excess) or 0.0),
        outside=int((excess > tolerance).sum()),
        lowest=float(finite.min()) / scale if finite.size else None,
        highest=float(finite.max()) / scale if finite.size else None,
        nan=stored.size - finite.size,
        eight_bit=stored.dtype == np.uint8,
        verified=verified.count(True),
        unverified=sum(one.verified is False for one in result.inputs),
        counted=verified.count(False),
        unmeasured=verified.count(None),
        unchanged=sum(not change[place[one.index]].any() for one in successes),
        misnamed=sum(_contradicts(one) for one in result.inputs),
    )


def flags_of(found: Audit) -> tuple[Flag, ...]:
    """The flags of an audit, the severe ones first."""
    low, high = found.lowest or 0.0, found.highest or 0.0
    counts = {
        "ball": found.outside,
        "range": int(low < -found.tolerance or high > 1 + found.tolerance),
        "nan": found.nan,
        "unverified": found.unverified,
        "misnamed": found.misnamed,
        "unchanged": found.unchanged,
        "unmeasured": found.unmeasured,
    }
    excess = f"by up to {found.violation:.3g} ({found.norm} distance above eps {found.eps:.6g})"
    facts = {"counted": found.counted, "excess": excess, "low": f"{low:.6g}", "high": f"{high:.6g}"}
    return tuple(
        Flag(kind, _SENTENCES[kind].format(count=count, **facts), severe=kind != "unmeasured")
        for kind, count in counts.items()
        if count
    )


def _contradicts(one: AttackedInput) -> bool:
    """Whether the label of a measured adversarial input does not agree with `verified`."""
    if one.verified is None or one.adversarial_label is None:
        return False
    if one.target is not None:
        return one.verified != (one.adversarial_label == one.target)
    return one.label is not None and one.verified != (one.adversarial_label != one.label)


def _largest(found: NDArray[np.float64]) -> float | None:
    known = found[~np.isnan(found)]
    return float(known.max()) if known.size else None


def _check(result: AttackResult) -> None:
    if result.norm not in BALLS:
        raise InvalidInput(f"no norm is called {result.norm!r}{did_you_mean(result.norm, BALLS)}")
    lengths = len(result.inputs), len(result.clean), len(result.adversarial)
    if len(set(lengths)) > 1 or result.clean.shape != result.adversarial.shape:
        raise ShapeMismatch(
            f"expected one clean and one adversarial array of the same shape for each of "
            f"{lengths[0]} inputs, got {result.clean.shape} and {result.adversarial.shape}"
        )
