"""Sobol indices by SALib: the design of the samples, and the indices of their answers.

Saltelli et al., "Variance based sensitivity analysis of model output", Computer Physics
Communications 181 (2010); SALib's estimators. N * (inputs + 2) evaluations, without second order.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blackbox_am.core.parameters import check
from blackbox_am.core.rng import position_seed
from blackbox_am.core.types import FloatArray
from blackbox_am.errors import InvalidSpec, MissingExtra

WIDE = 0.1
"""Half width of an interval above which the numbers are not to be relied on."""
CONSTANT = (
    "The activation is the same for every sample, so there is no variance to divide: no input has "
    "an influence within these ranges, and all indices are 0."
)


@dataclass(frozen=True)
class Design:
    """Samples for Sobol indices.

    Attributes:
        problem: SALib's description of the inputs.
        names: of the inputs, or of their groups, in the order of the indices.
        rows: (N * (G + 2), inputs) in [0, 1], G inputs or groups.
    """

    problem: dict[str, Any]
    names: tuple[str, ...]
    rows: FloatArray


@dataclass(frozen=True)
class Indices:
    """Sobol indices of inputs or groups, each (G,).

    Attributes:
        names: of the inputs or groups.
        first: S1, the share of the variance that an input explains alone.
        total: ST, the share that is lost when the input is fixed, with all its interactions.
        first_interval, total_interval: half widths of the 95 % intervals, by bootstrap.
        variance: of the activation.
        notes: what a reader must know.
    """

    names: tuple[str, ...]
    first: FloatArray
    total: FloatArray
    first_interval: FloatArray
    total_interval: FloatArray
    variance: float
    notes: tuple[str, ...] = ()


def design(
    names: Sequence[str], samples: int, seed: int, groups: Sequence[str] | None = None
) -> Design:
    """The samples for inputs that are uniform in [0, 1].

    Args:
        names: of the inputs, all different.
        samples: N, a power of 2, at least 2.
        seed: of the scrambled Sobol sequence.
        groups: the group of each input; None for indices of single inputs.

    Raises:
        InvalidSpec: for names or groups that do not fit, or a number that is no power of 2.
        MissingExtra: without SALib.
    """
    check(
        samples >= 2 and samples & (samples - 1) == 0,
        "samples", "a power of 2, at least 2, such as 512", samples,
    )  # fmt: skip
    if len(set(names)) < len(names):
        raise InvalidSpec("names: expected a different name for each input", field="names")
    problem: dict[str, Any] = {
        "num_vars": len(names), "names": list(names), "bounds": [[0.0, 1.0]] * len(names)
    }  # fmt: skip
    if groups is not None:
        if len(groups) != len(names) or len(set(groups)) < 2:
            raise InvalidSpec(
                f"groups: expected the group of each of {len(names)} inputs, and two groups or "
                f"more, got {len(groups)} entries of {len(set(groups))} groups",
                field="groups",
            )
        problem["groups"] = list(groups)
    try:
        from SALib.sample import sobol
    except ModuleNotFoundError as error:
        raise MissingExtra.of("SALib", "analysis") from error
    own = np.random.default_rng(position_seed(seed, "sobol", 0, 0))
    rows = sobol.sample(problem, samples, calc_second_order=False, seed=own)
    found = tuple(names) if groups is None else tuple(dict.fromkeys(groups))
    return Design(problem, found, np.asarray(rows, np.float64))


def indices(plan: Design, answers: FloatArray, seed: int) -> Indices:
    """The indices of the answers (N * (G + 2),) to the rows of a design.

    Constant answers give indices of 0 and a sentence, where SALib warns.
    """
    count = len(plan.names)
    if np.ptp(answers) <= np.finfo(np.float32).eps * np.abs(answers).max():
        zeros = np.zeros(count)
        return Indices(plan.names, zeros, zeros, zeros, zeros, 0.0, (CONSTANT,))
    from SALib.analyze import sobol

    own = position_seed(seed, "sobol intervals", 0, 0) % 2**31
    with warnings.catch_warnings():
        # A resample of the bootstrap can be constant; the whole is not.
        warnings.simplefilter("ignore")
        found = sobol.analyze(plan.problem, answers, calc_second_order=False, seed=own)
    first, total = (np.asarray(found[key], np.float64) for key in ("S1", "ST"))
    halves = [np.asarray(found[f"{key}_conf"], np.float64) for key in ("S1", "ST")]
    notes = _notes(halves[1])
    return Indices(plan.names, first, total, halves[0], halves[1], float(answers.var()), notes)


def _notes(half: FloatArray) -> tuple[str, ...]:
    widest = float(half.max())
    if widest <= WIDE:
        return ()
    if widest > 1:
        return (
            (
                f"The widest interval of a total index is +-{widest:.2f}, and an index is at most "
                "1: neither the numbers nor the order of the inputs can be relied on. Give more "
                "samples."
            ),
        )
    return (
        (
            f"The widest interval of a total index is +-{widest:.2f}: the order of the inputs is "
            "more certain than the numbers. Give more samples for the numbers."
        ),
    )
