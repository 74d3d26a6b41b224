"""A search that fits a readout of a known network to measured scores and ascends the readout."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch

from blackbox_am.core.generator import Generator
from blackbox_am.core.linear_algebra import matmul
from blackbox_am.core.optimizer import Optimizer
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.errors import Unsupported
from blackbox_am.optimizers._frame import frame_of
from blackbox_am.optimizers._parameters import at_least, memory, positive
from blackbox_am.optimizers._targetwise import for_each
from blackbox_am.optimizers.evolution.snes import SNES, SNESState
from blackbox_am.optimizers.surrogate._readout import fit
from blackbox_am.optimizers.surrogate._surrogate import Surrogate, surrogate

WARM_GENERATIONS = 2
"""Generations of plain SNES before the first fit."""
LEAST_EXPLAINED = 0.03
"""Share of the variance of rows left out of the fit. A readout that explains less is not used."""
STEPS = 8
"""Gradient steps of a path."""
SPREAD = 0.3
"""Noise around the points of a path, in step sizes."""
FIRST_SHARE, LEAST_SHARE, LARGEST_SHARE = 0.25, 1 / 80, 0.5
"""Share of a generation that is proposed along the path."""
SHORTEST, LONGEST = 0.1, 4.0
"""Length of a path, in typical lengths of a sample's step."""
MORE, LONGER, LESS = 1.25, 1.3, 0.7
"""Factors by which the share and the length of the path grow where the path wins, and shrink where
it loses. Half of a generation wins half of the time by chance; such a path shrinks on average.
"""


@dataclass
class EncodingModelState:
    """State of K searches; mean and sigma are in the frame of the space (see `_frame`).

    Attributes:
        mean: (K, D).
        sigma: (K, D) a step size for each coordinate.
        generation: (K,) int64, generations told.
        features: (K, M, F) float32, of the last M rows, the newest last.
        scores: (K, M) float64, the scores of these rows.
        known: (K, M) bool, True if the row exists and did not fail.
        weights: (K, F) float64, of the readout fitted to them; 0 if it is not to be used.
        share: (K,) float64, of a generation that is proposed along the path.
        length: (K,) float64, of the path, in typical lengths of a sample's step.
    """

    mean: torch.Tensor
    sigma: torch.Tensor
    generation: torch.Tensor
    features: torch.Tensor
    scores: torch.Tensor
    known: torch.Tensor
    weights: torch.Tensor
    share: torch.Tensor
    length: torch.Tensor


@dataclass(frozen=True)
class EncodingModel(Optimizer[EncodingModelState]):
    """SNES guided by a local public network: a readout of its layers is fitted to the scores that
    this study has measured, gradient ascent through the generator maximises the prediction, and
    candidates are screened by the prediction. The oracle itself remains a black box.

    Source: E. Y. Walker et al., "Inception loops discover what excites neurons most using deep
    predictive models" (Nature Neuroscience 22, 2019): a readout of a network is fitted to measured
    answers, ascended, and the optimum verified on the animal. This implementation differs in three
    things: only the linear readout is trained, not the network (ridge regression, `_readout.fit`);
    the readout is fitted again in every generation; and the readout only proposes candidates, while
    SNES updates the search distribution. A generation has

    - rows along a path of gradient ascent on the prediction, from the mean (as injected into an
      evolution strategy by N. Hansen, "Injecting external solutions into CMA-ES", 2011). Where the
      best of them beats the best of the others, their share and the path grow, else they shrink,
      down to one row every few generations;
    - samples of SNES, half of them the best by prediction of several times as many (screening: Y.
      Jin, "Surrogate-assisted evolutionary computation", 2011);
    - plain samples of SNES, which keep the fit and the comparison honest.

    SNES moves its mean by all of them, and its step sizes by samples alone: the rows of a path lie
    closely together, and would make the step sizes shrink too early. While the readout explains
    almost no variance of rows left out of its fit, every row of a generation is a plain sample of
    SNES.

    Measured with channel means (`map_side=1`) on 6 units of a ResNet-20 behind `cifar_vae`, with
    the shipped `cifar_cnn` as the network, 3 seeds: what SNES reached with 1,000 queries took 590
    in the median (15 runs of 18 got there). The gain over the first generation was 1.30 times that
    of SNES at 300 queries and 1.09 times at 1,000. With a network of random weights it was 0.97
    times at 1,000. On other oracles it was level with `auto`. Maps of 8 x 8 explain more than
    means: fitted to 300 samples of the prior, 200 left out, 20 units of the ResNet-20, the median
    R² is .34 against .12 behind `cifar_vae` (4 x 4: .30), and .13 against .01 behind MANGO's
    latents (4 x 4: .12).

    The state keeps the features of the last `archive` rows: with `cifar_cnn` 46 MB a target, 11 MB
    with `map_side=4` and 0.7 MB with 1. A fit to 300 rows takes .4, .1 and .03 s. In a generation,
    generator and network run forward on up to three times as many rows as the oracle, and backward
    on 8: the method is worthwhile where a query costs more than this computation.
    Targets are processed by the network one after another. `network` may be the searched oracle
    itself. The oracle is then not a black box, and `adam` ascends it directly.

    Attributes:
        population: candidates a generation, at least 8.
        sigma: first step size, in standard deviations of the prior.
        mean_learning_rate: of SNES.
        network: name in the catalogue of a network with gradients, which takes what the
            generator makes.
        layers: which of its layers are read; up to six, evenly spaced over the depth, if empty.
        map_side: largest height and width of the map that is read for each unit: larger maps are
            averaged over cells. 1 reads the mean of each unit over its map.
        archive: rows the readout is fitted to, the last ones.
        screening: how many samples are drawn for each one of the screened; 1 turns screening off.
        max_bytes: refuses to start where the stored features would need more.
    """

    name: ClassVar[str] = "encoding_model"
    exchangeable: ClassVar[bool] = False
    host_reads: ClassVar[str] = "targets take turns at the network"
    state_type: ClassVar[type[EncodingModelState]] = EncodingModelState
    _surrogate: ClassVar[Surrogate | None] = None

    population: int = 20
    sigma: float = 1.0
    mean_learning_rate: float = 1.5
    network: str = "cifar_cnn"
    layers: tuple[str, ...] = ()
    map_side: int = 8
    archive: int = 400
    screening: int = 4
    max_bytes: int = 8 * 2**30

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        at_least(8, "its rows are of three kinds", population=self.population)
        at_least(self.population, "a generation has to fit in", archive=self.archive)
        at_least(1, "a row is chosen out of that many", screening=self.screening)
        at_least(1, "a map has one cell at least", map_side=self.map_side)
        positive(sigma=self.sigma, mean_learning_rate=self.mean_learning_rate)
        memory(self.max_bytes)
        if not self.network:
            raise ValueError("network must be the name of an oracle in the catalogue, got ''")

    def population_size(self, space: Space) -> int:
        del space
        return self.population

    def memory_bytes(self, space: Space, targets: int) -> int:
        return super().memory_bytes(space, targets) + self._kept_bytes(targets)

    def _kept_bytes(self, targets: int) -> int:
        """Memory of the features of the archive."""
        return targets * self.archive * self._guide.width * 4

    def bind(self, generator: Generator | None, network: Callable[[str], Oracle]) -> Self:
        found = surrogate(self.name, self.network, self.layers, generator, network, self.map_side)
        return self.holding(_surrogate=found)

    def init(self, space: Space, targets: int, stream: Stream) -> EncodingModelState:
        width = self._guide.width
        needed = self._kept_bytes(targets)
        if needed > self.max_bytes:
            raise Unsupported(
                f"{self.name} needs {needed} bytes to keep {width} features of {self.archive} rows "
                f"for {targets} targets, more than max_bytes = {self.max_bytes}; use fewer "
                "targets, layers or rows, or raise max_bytes",
                field="optimizer.parameters.max_bytes",
            )
        start = self._snes.init(space, targets, stream)
        device = start.mean.device
        return EncodingModelState(
            mean=start.mean,
            sigma=start.sigma,
            generation=start.generation,
            features=torch.zeros(targets, self.archive, width, device=device),
            scores=torch.zeros(targets, self.archive, dtype=torch.float64, device=device),
            known=torch.zeros(targets, self.archive, dtype=torch.bool, device=device),
            weights=torch.zeros(targets, width, dtype=torch.float64, device=device),
            share=torch.full((targets,), FIRST_SHARE, dtype=torch.float64, device=device),
            length=torch.ones(targets, dtype=torch.float64, device=device),
        )

    def started_at(
        self, space: Space, state: EncodingModelState, latents: torch.Tensor
    ) -> EncodingModelState:
        start = SNESState(state.mean, state.sigma, state.generation)
        moved = self._snes.started_at(space, start, latents)
        return replace(state, mean=moved.mean, sigma=moved.sigma)

    def center(self, space: Space, state: EncodingModelState) -> torch.Tensor:
        return space.project(frame_of(space, state.mean).outward(state.mean))

    def ask(self, space: Space, state: EncodingModelState, stream: Stream) -> torch.Tensor:
        extra = self.population // 2 * (self.screening - 1)
        steps = state.sigma.unsqueeze(1) * stream.normal(self.population + extra, space.dim)
        points = torch.stack(
            [self._propose(space, state, k, steps[k]) for k in range(len(state.mean))]
        )
        return frame_of(space, state.mean).outward(points)

    def tell(
        self,
        space: Space,
        state: EncodingModelState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> EncodingModelState:
        del gradients
        told = self._told(space, state, latents, scores)
        # One call for each target: the network's output for a row depends on the shape of the
        # batch.
        found = torch.stack([self._guide.features(rows) for rows in latents])
        known = found.isfinite().all(-1) & ~scores.isnan()
        share, length = state.share.clone(), state.length.clone()
        for k, row in enumerate(scores):
            share[k], length[k] = self._judged(state, k, row)
        old = scores.shape[1]  # that many rows are forgotten
        features = torch.cat([state.features[:, old:], found.nan_to_num(0.0)], 1)
        known = torch.cat([state.known[:, old:], known], 1)
        # Infinities become the largest numbers.
        scores = torch.cat([state.scores[:, old:], scores.to(torch.float64).nan_to_num(0.0)], 1)
        return EncodingModelState(
            mean=told.mean,
            sigma=told.sigma,
            generation=told.generation,
            features=features,
            scores=scores,
            known=known,
            weights=for_each(_weights, features, scores, known, told.generation),
            share=share,
            length=length,
        )

    @property
    def _guide(self) -> Surrogate:
        if self._surrogate is None:
            raise Unsupported(
                f"{self.name} needs a differentiable generator and the network {self.network!r}; "
                "call `bind` first, or run it in a study that has a generator and a catalogue",
                field="optimizer.name",
            )
        return self._surrogate

    @property
    def _snes(self) -> SNES:
        return SNES(
            population=self.population,
            sigma=self.sigma,
            mean_learning_rate=self.mean_learning_rate,
        )

    def _told(
        self,
        space: Space,
        state: EncodingModelState,
        latents: torch.Tensor,
        scores: torch.Tensor,
    ) -> SNESState:
        """The update of SNES by a generation: all rows move the mean, samples alone change the step
        sizes.
        """
        before = SNESState(state.mean, state.sigma, state.generation)
        samples = scores.clone()
        for k in range(len(scores)):
            samples[k, : self._path_rows(state, k)] = torch.nan
        after = self._snes.tell(space, before, latents, scores)
        sigma = self._snes.tell(space, before, latents, samples).sigma
        return replace(after, sigma=sigma)

    def _propose(
        self, space: Space, state: EncodingModelState, k: int, steps: torch.Tensor
    ) -> torch.Tensor:
        """(P, D) points in the frame for target k: of a path, screened, and plain samples.

        Args:
            steps: (P + extra, D) of samples, from the mean.
        """
        mean, weights = state.mean[k], state.weights[k]
        samples = mean + steps[: self.population]
        if not bool(weights.any()):
            return samples
        ahead = self._path_rows(state, k)
        if ahead:
            reach = state.length[k] * state.sigma[k].mean() * math.sqrt(space.dim)
            path = self._guide.ascend(space, mean, weights, reach, STEPS)
            along = [math.ceil((ahead - i) / ahead * STEPS) - 1 for i in range(ahead)]
            noise = SPREAD * steps[:ahead]
            noise[0] = 0.0
            samples[:ahead] = path[along] + noise
        screened = (self.population - ahead) // 2
        if self.screening > 1:
            drawn = torch.cat([steps[ahead : ahead + screened], steps[self.population :]])
            drawn = mean + drawn[: screened * self.screening]
            latents = space.project(frame_of(space, mean).outward(drawn))
            worth = matmul(self._guide.features(latents).to(torch.float64), weights)
            samples[ahead : ahead + screened] = drawn[worth.topk(screened).indices]
        return samples

    def _path_rows(self, state: EncodingModelState, k: int) -> int:
        """How many rows of target k's generation lie on the path. These are the first rows."""
        if not bool(state.weights[k].any()):
            return 0
        rows = float(state.share[k]) * self.population
        if rows >= 1:
            return round(rows)
        return int(int(state.generation[k]) % round(1 / rows) == 0)

    def _judged(
        self, state: EncodingModelState, k: int, scores: torch.Tensor
    ) -> tuple[float, float]:
        """Share and length of target k's path after its generation scored (P,) `scores`."""
        share, length = float(state.share[k]), float(state.length[k])
        ahead = self._path_rows(state, k)
        if not ahead:
            return share, length
        found = scores.nan_to_num(-math.inf, math.inf, -math.inf)
        best, other = found[:ahead].max(), found[ahead:].max()
        if bool(best > other):
            far = int(found[:ahead].argmax()) <= ahead // 3
            length = min(LONGEST, length * (LONGER if far else 1.0))
            return min(LARGEST_SHARE, share * MORE), length
        if bool(best < other):
            return max(LEAST_SHARE, share * LESS), max(SHORTEST, length * LESS)
        return share, length


def _weights(
    features: torch.Tensor, scores: torch.Tensor, known: torch.Tensor, generation: torch.Tensor
) -> torch.Tensor:
    """(F,) weights of the readout fitted to one target's rows (M, F); 0 if the readout is not to be
    used.
    """
    readout = fit(features[known], scores[known])
    usable = int(generation) >= WARM_GENERATIONS and readout.explained > LEAST_EXPLAINED
    return readout.weights if usable else torch.zeros_like(readout.weights)
