"""Results of comparisons that no comparison has made, for tests of reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.comparisons.results import (
    ComparedUnit,
    ComparisonResult,
    Method,
    ProtocolPart,
    Run,
)
from blackbox_am.core.generator import Generator
from blackbox_am.core.rng import Stream

METHODS = (
    Method("adam", "adam", {"restarts": 4}, 1, 2.0, 500),
    Method("snes", "snes", {"population": 20}, 0, 1.0, 1000),
    Method("sep_cma", "sep_cma", {}, 0, 1.0, 1000),
    Method("random", "random", {}, 0, 1.0, 1000, reference=True),
)
STRENGTHS: Mapping[str, float] = {"adam": 1.0, "snes": 0.93, "sep_cma": 0.88, "random": 0.45}
"""Median final score of each method, as a fraction of that of `adam`; .7 for other methods."""
LAYERS = ("layer2", "layer3", "head")
POPULATION = 20


def comparison_result(
    *,
    units: int = 6,
    seeds: int = 3,
    methods: Sequence[Method] = METHODS,
    budget: float = 1000.0,
    naturals: int = 200,
    generator: Generator | None = None,
    shape: tuple[int, ...] = (3, 8, 8),
    examined: bool = True,
    data_seed: int = 0,
    **changes: Any,
) -> ComparisonResult:
    """A consistent result: curves rise to the score of their run, and scores scatter over units and
    seeds around the strength of the method. Equal arguments give equal results.

    Args:
        units, seeds: numbers of units and seeds; units are of `LAYERS` in turn.
        methods: the methods; the first one of order 1 is the baseline. Methods that are
            unavailable have no runs.
        budget: query-equivalents.
        naturals: number of natural images.
        generator: renders the stimuli; without it they are random patterns of `shape`.
        shape: shape of a stimulus, without a generator.
        examined: whether the numbers of `examine` are filled in.
        data_seed: changes every number.
        changes: other fields of the result.
    """
    random = np.random.default_rng(data_seed)
    baseline = next((m.name for m in methods if m.order == 1), methods[0].name)
    shown = _stimuli(generator, shape, units * (len(methods) * seeds + 1), data_seed)
    compared = tuple(
        _unit(place, random, naturals, shown[1][place], examined=examined) for place in range(units)
    )
    runs = []
    for number, method in enumerate(methods):
        for place, unit in enumerate(compared):
            for seed in range(seeds) if not method.unavailable else ():
                at = units + (number * units + place) * seeds + seed
                latent, stimulus = shown[0][at], shown[1][at]
                runs.append(
                    _run(method, unit, seed, budget, random, latent, stimulus, examined=examined)
                )
    names = [unit.unit for unit in compared]
    best = {name: max(run.score for run in runs if run.unit == name) for name in names}
    searched = [method.name for method in methods if not method.unavailable]
    fields: dict[str, Any] = {
        "name": "cifar_cnn with cifar_vae",
        "identity": {"oracle": "cifar_cnn", "generator": "cifar_vae", "noise": "none"},
        "baseline": baseline,
        "budget": budget,
        "seeds": tuple(range(seeds)),
        "methods": tuple(methods),
        "units": compared,
        "runs": tuple(runs),
        "protocol": (
            ProtocolPart("one generator", True, "Every method searches the latents of cifar_vae."),
            ProtocolPart("tuning units", False, "No parameter was tuned."),
        ),
        "best_known": best,
        "diversity": {
            (method, name): float(random.uniform(0.05, 0.3))
            for method in searched
            for name in names
            if examined
        },
    }
    return ComparisonResult(**(fields | changes))


def _unit(
    place: int,
    random: np.random.Generator,
    naturals: int,
    image: NDArray[np.float32],
    *,
    examined: bool,
) -> ComparedUnit:
    layer = LAYERS[place % len(LAYERS)]
    natural = 2.0 * random.gamma(4.0, 0.25, naturals) * (1 + place / 10)
    return ComparedUnit(
        unit=f"{layer}:{7 * place + 3}",
        layer=layer,
        natural=natural,
        natural_image=image,
        start=float(np.median(natural)) if naturals else 1.0,
        twin=f"blocks.2.mlp.fc1:{place}" if examined else "",
        twin_correlation=float(random.uniform(0.4, 0.9)) if examined else float("nan"),
    )


def _run(
    method: Method,
    unit: ComparedUnit,
    seed: int,
    budget: float,
    random: np.random.Generator,
    latent: NDArray[Any],
    stimulus: NDArray[np.float32],
    *,
    examined: bool,
) -> Run:
    strength = STRENGTHS.get(method.name, 0.7)
    top = 1.8 * float(unit.natural.max(initial=1.0))
    score = top * strength * float(np.exp(random.normal(0, 0.06)))
    generations = max(1, int(budget / (method.cost * POPULATION)))
    spent = method.cost * POPULATION * np.arange(1, generations + 1, dtype=np.float64)
    speed = 3.0 if method.order else 5.0
    rise = (1 - np.exp(-speed * spent / budget)) / (1 - np.exp(-speed * spent[-1] / budget))
    curve = np.maximum.accumulate(unit.start + (score - unit.start) * rise)
    measured: dict[str, Any] = {}
    if examined:
        measured = {
            "robust": score * random.normal(0.75, 0.05, 64),
            "plausibility": float(random.uniform(1.0, 1.6)),
            "transfer": float(random.uniform(0.5, 1.0)),
            "typicality": float(random.uniform(0.0, 1.0)),
        }
    return Run(
        method=method.name,
        unit=unit.unit,
        seed=seed,
        score=float(curve[-1]),
        score_error=0.0,
        latent=latent,
        stimulus=stimulus,
        equivalents=spent,
        best_so_far=curve,
        rows=generations * POPULATION,
        backward_rows=generations * POPULATION if method.order else 0,
        seconds=float(0.002 * spent[-1] * random.uniform(0.8, 1.2)),
        **measured,
    )


def _stimuli(
    generator: Generator | None, shape: tuple[int, ...], count: int, seed: int
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """(count, D) latents and (count, *stimulus) their stimuli."""
    if generator is None:
        stimuli = np.random.default_rng([seed, 1]).random((count, *shape), np.float32)
        return stimuli.reshape(count, -1), stimuli
    latents = generator.space.sample(Stream(seed, "comparison", 0), count)[0]
    with torch.no_grad():
        made = [generator.render(part).cpu() for part in torch.split(latents, 64)]
    return latents.numpy(), torch.cat(made).numpy()
