"""The result of a comparison as plain data: needs only numpy.

A comparison runs M methods on K units with S seeds. Each pair of method and seed is one study, with
the units as its targets. A `Run` is what one method found for one unit with one seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ProtocolPart:
    """One rule of the protocol of a comparison.

    Attributes:
        name: short name, such as `equal budgets`.
        kept: whether the comparison keeps the rule.
        text: how the rule was kept, or what was done instead, in one sentence.
    """

    name: str
    kept: bool
    text: str


@dataclass(frozen=True)
class Method:
    """A method that is compared.

    Attributes:
        name: its name in the comparison, different from the others'.
        optimizer: name of the optimizer.
        parameters: its parameters that are set; others have their defaults.
        order: 0 for a search by scores, 1 for a search by gradients.
        cost: query-equivalents of one row: 1 for a forward pass, 2 with a backward pass.
        queries_per_target: rows that a target may have.
        reference: whether the method is shown for reference and not compared, such as a random
            search.
        unavailable: why the method could not run, such as an oracle without gradients; else empty.
    """

    name: str
    optimizer: str
    parameters: Mapping[str, Any]
    order: int
    cost: float
    queries_per_target: int
    reference: bool = False
    unavailable: str = ""

    @property
    def equivalents(self) -> float:
        """Query-equivalents that a run may spend."""
        return self.cost * self.queries_per_target

    def spends(self, budget: float) -> bool:
        """Whether a run may spend `budget`, except for a remainder that is less than a row."""
        return self.equivalents <= budget < self.equivalents + self.cost


@dataclass(frozen=True, eq=False)
class ComparedUnit:
    """A unit whose activation is maximised.

    Attributes:
        unit: its address.
        layer: its layer.
        natural: (N,) scores of the natural images, in their order; empty without natural images,
            nan for an image without a score.
        natural_image: the natural image with the highest score, (*stimulus) in [0, 1]; None
            without natural images.
        start: highest score of 64 random latents, the same for all methods: a_0.
        twin: the unit of the second network that answers to natural images most alike (greatest
            absolute correlation); empty without a second network.
        twin_correlation: its correlation; nan without a second network.
    """

    unit: str
    layer: str
    natural: FloatArray
    natural_image: NDArray[np.float32] | None
    start: float
    twin: str = ""
    twin_correlation: float = float("nan")


@dataclass(frozen=True, eq=False)
class Run:
    """What one method found for one unit with one seed.

    Attributes:
        method, unit, seed: which run.
        score: the reported score: of fresh measurements that had no part in the choice of the
            stimulus if the oracle is noisy, and nan without these; nan if nothing was found.
        score_error: standard error of `score`; 0 for an oracle that repeats its answers.
        latent: (D,) of the best candidate; empty if nothing was found.
        stimulus: (*stimulus) in [0, 1]; None if nothing was found.
        equivalents: (G,) query-equivalents spent after each generation, increasing.
        best_so_far: (G,) best score up to there.
        rows: rows that the search measured.
        backward_rows: rows of these with a backward pass.
        seconds: seconds that the search of this unit took: those of the study, divided by the
            number of its targets.
        robust: (T,) scores under T fixed random transformations; empty if not measured.
        plausibility: distance to the nearest natural image in the features of an independent
            network, over the median of this distance for natural images that were held out; nan if
            not measured.
        transfer: fraction of natural images with a lower score of the twin unit in the second
            network (a higher one, if its correlation is negative), 0 to 1; nan without a second
            network.
        typicality: how usual the length of the latent is under the prior: the probability of a
            length nearer to the median, 0 (at the median) to 1; nan for a prior without lengths.
        message: why the run found nothing, or stopped early; else empty.
    """

    method: str
    unit: str
    seed: int
    score: float
    score_error: float
    latent: NDArray[Any]
    stimulus: NDArray[np.float32] | None
    equivalents: FloatArray
    best_so_far: FloatArray
    rows: int
    backward_rows: int
    seconds: float
    robust: FloatArray = field(default_factory=lambda: np.empty(0))
    plausibility: float = float("nan")
    transfer: float = float("nan")
    typicality: float = float("nan")
    message: str = ""


@dataclass(frozen=True, eq=False)
class ComparisonResult:
    """The result of a comparison.

    Attributes:
        name: name of the comparison.
        identity: facts that identify the comparison, in the order in which they are shown: version
            of the package, oracle, generator, their fingerprints, noise, transforms, processor.
        baseline: name of the method with which the others are compared: the gradient method.
        budget: query-equivalents for each unit and seed.
        seeds: the S seeds.
        methods: the M methods.
        units: the K units.
        runs: up to M x K x S runs. Runs of an unavailable method are missing.
        protocol: the rules, and whether each was kept.
        best_known: the best score that is known for each unit in this generator, over all methods,
            seeds and references.
        diversity: for each method and unit, mean distance (1 - cosine of features of an independent
            network) over the pairs of its seeds whose score is at least .9 of the best of them; nan
            if there are fewer than two.
        kid: for each method, the kernel inception distance to natural images, where it has 2,000
            stimuli or more; others are missing.
        warnings: what a reader must know before the numbers are believed.
        complete: whether every run has ended.
        penalties: measures that are subtracted from every score, and their weights.
    """

    name: str
    identity: Mapping[str, str]
    baseline: str
    budget: float
    seeds: tuple[int, ...]
    methods: tuple[Method, ...]
    units: tuple[ComparedUnit, ...]
    runs: tuple[Run, ...]
    protocol: tuple[ProtocolPart, ...]
    best_known: Mapping[str, float] = field(default_factory=dict)
    diversity: Mapping[tuple[str, str], float] = field(default_factory=dict)
    kid: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    complete: bool = True
    penalties: Mapping[str, float] = field(default_factory=dict)

    def of(self, method: str, unit: str) -> tuple[Run, ...]:
        """The runs of a method for a unit, in the order of the seeds."""
        found = self._by_pair.get((method, unit), {})
        return tuple(found[seed] for seed in self.seeds if seed in found)

    @cached_property
    def _by_pair(self) -> dict[tuple[str, str], dict[int, Run]]:
        """The runs by method and unit, and by seed."""
        found: dict[tuple[str, str], dict[int, Run]] = {}
        for run in self.runs:
            found.setdefault((run.method, run.unit), {})[run.seed] = run
        return found
