"""A test on a few rows, before a study begins, whether an oracle repeats its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.generator import Generator
from blackbox_am.core.metering import observed
from blackbox_am.core.oracle import Oracle, failures_of
from blackbox_am.core.repeating import Repeats, afresh, repeats
from blackbox_am.core.rng import Stream
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec

STIMULI = 3
MOST = 16
"""Number of stimuli that are rendered if some of the first stimuli are not finite."""


@dataclass(frozen=True)
class Probed:
    """The result of the probe of an oracle.

    Attributes:
        repeats: under which conditions the oracle repeats its answers.
        warning: a warning for the owner of the study; empty for an oracle that repeats its answers.
    """

    repeats: Repeats = Repeats.ALWAYS
    warning: str = ""

    @property
    def noisy(self) -> bool:
        """Whether the same stimulus gets different activations, even alone in its batch."""
        return self.repeats is Repeats.NEVER


@dataclass
class Answers:
    """The oracle's answers in the order of the calls, of which the first may be known already.

    Attributes:
        rows: (R, U) float64, the known answers.
        used: how many of them were read.
    """

    rows: NDArray[np.float64] | None = None
    used: int = 0

    def observe(self, oracle: Oracle, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        """(N, U) the next answers, to `stimuli`: the known ones, or those of the oracle."""
        first, self.used = self.used, self.used + len(stimuli)
        if self.rows is not None and self.used <= len(self.rows):
            return torch.from_numpy(self.rows[first : self.used].copy())
        found = observed(oracle, stimuli, units).double().cpu()
        before = np.empty((0, found.shape[1])) if self.rows is None else self.rows[:first]
        self.rows = np.concatenate([before, found.numpy()])
        return found


def probed(
    oracle: Oracle,
    generator: Generator,
    units: Sequence[Unit],
    seed: int,
    device: str,
    answers: Answers | None = None,
) -> Probed:
    """Measures whether `oracle` repeats its answer to a stimulus, also beside other stimuli.

    The oracle observes 4 rows, and 2 to 6 more if its answers differ. The stimuli depend on the
    seed alone.

    Args:
        oracle: the model.
        generator: the generator of the stimuli.
        units: the units that the study reads.
        seed: of the study.
        device: device on which latents are drawn.
        answers: known answers of an earlier probe that a quota has ended; receives the others.

    Raises:
        InvalidSpec: for an oracle with a cache that does not repeat its answers.
        OracleError: if the oracle fails.
    """
    if not units:
        return Probed()
    known = answers or Answers()
    with torch.no_grad(), afresh():
        stimuli = _stimuli(generator, seed, device)
        if len(stimuli) < STIMULI:
            return Probed()  # the search itself reports that few stimuli are finite
        with failures_of(len(stimuli)):
            found = repeats(lambda rows: known.observe(oracle, rows, units), stimuli)
    if found is not Repeats.ALWAYS and "cache" in oracle.describe().wrappers:
        raise InvalidSpec(
            "oracle: it says that it is deterministic, and a stimulus gets another answer "
            + ("each time" if found is Repeats.NEVER else "beside other stimuli")
            + " (measured); a cache would repeat the first one. Set nondeterministic = true in the "
            "cache if you want that, or take the cache away",
            field="oracle",
        )
    if found is Repeats.NEVER:
        return Probed(
            found,
            "the oracle gives the same stimulus another answer each time (measured), although it "
            "says that it is deterministic; it is treated as noisy",
        )
    if found is Repeats.ALONE:
        return Probed(
            found,
            "an answer of the oracle depends on the other stimuli in its batch (measured); the "
            "oracle is asked one row at a time",
        )
    return Probed()


def _stimuli(generator: Generator, seed: int, device: str) -> torch.Tensor:
    """(3, *stimulus) finite stimuli, possibly fewer than 3."""
    latents = generator.space.sample(Stream(seed, "probe", 0, device=device), MOST)[0]
    first_target = torch.zeros(MOST, dtype=torch.int64, device=latents.device)
    found = torch.empty(0)
    for until in (STIMULI, MOST):
        stimuli = generator.render_targets(latents[:until], first_target[:until])
        found = stimuli[stimuli.flatten(1).isfinite().all(1)][:STIMULI]
        if len(found) == STIMULI:
            break
    return found
