"""A CUDA device against the CPU of the same machine.

(a) ask and tell of optimizers, and (b) whole studies of shipped models, at two numbers of targets.
Both devices compute the same work in turn. The ratio is the rate on CUDA over the rate on the CPU,
which uses all of torch's threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from blackbox_am.bench.measurement import Measurement, compare
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.optimizer import Proposal, SearchContext
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import Unsupported
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.plugins import optimizers
from blackbox_am.studies.local import maximise

Say = Callable[[str], None]

OPTIMIZERS = ("sep_cma", "snes", "lowrank_cma", "cma", "ga")
DIMENSIONS = (512, 4096)
CMA_LIMIT = 512
"""Largest D at which optimizers with a full covariance are measured."""
TARGETS = (8, 64)
POPULATION = 32
DEVICES = ("cuda", "cpu")
UNITS = tuple(f"head:{k}" for k in range(10)) + tuple(f"layer3:{k}" for k in range(54))


@dataclass(frozen=True)
class Size:
    """How long each measurement is.

    Attributes:
        generations: timed generations of (a).
        queries: queries of each target in (b).
        repeats: repeats of each measurement.
    """

    generations: int = 10
    queries: int = 512
    repeats: int = 3


def measure(size: Size, say: Say) -> list[Measurement]:
    """Parts (a) and (b).

    Raises:
        Unsupported: without a CUDA device.
    """
    if not torch.cuda.is_available():
        raise Unsupported("expected a CUDA device, torch sees none; run it on a machine with one")
    lines = []
    for name in OPTIMIZERS:
        for dimension in DIMENSIONS if name != "cma" else (CMA_LIMIT,):
            for targets in TARGETS:
                say(title := f"(a) {name}, D = {dimension}, K = {targets}")
                work = partial(generations_seconds, name, dimension, targets, size.generations)
                rows = size.generations * targets * POPULATION
                lines.append(_compared(title, rows, size.repeats, work))
    for targets in TARGETS:
        say(title := f"(b) cifar_vae + cifar_cnn, sep_cma, K = {targets}")
        study = partial(study_seconds, targets, size.queries)
        lines.append(_compared(title, targets * size.queries, size.repeats, study))
    return lines


def _compared(title: str, rows: int, repeats: int, seconds: Callable[[str], float]) -> Measurement:
    rates: dict[str, list[float]] = {device: [] for device in DEVICES}
    for _ in range(repeats):
        for device in DEVICES:
            rates[device].append(rows / seconds(device))
    return compare(title, rates["cuda"], rates["cpu"], "rows/s")


def generations_seconds(
    name: str, dimension: int, targets: int, generations: int, device: str
) -> float:
    """Seconds of `generations` times ask and tell of optimizer `name`, after two to warm up."""
    space = build_space(SpaceSpec("normal", dimension))
    context = SearchContext(queries_per_target=POPULATION * generations, targets=targets)
    optimizer = optimizers.build(name, {"population": POPULATION}).resolve(space, context)
    keys = tuple(range(targets))
    state = optimizer.init(space, targets, Stream(0, "init", 0, keys, device=device))
    started = 0.0
    for generation in range(generations + 2):
        if generation == 2:
            _wait(device)
            started = time.perf_counter()
        asked = optimizer.ask(space, state, Stream(0, "ask", generation, keys, device=device))
        latents = Proposal.of(asked).latents
        scores = -latents.square().sum(2)
        state = optimizer.tell(space, state, latents, scores)
    _wait(device)
    return time.perf_counter() - started


def study_seconds(targets: int, queries: int, device: str) -> float:
    """Seconds of a whole study of `targets` units of `cifar_cnn`, with its journal in memory."""
    generator = Catalogue.default().generator("cifar_vae")
    oracle = TorchModule("zoo:cifar_cnn", device=device)
    started = time.perf_counter()
    maximise(
        oracle=oracle,
        generator=generator,
        targets=UNITS[:targets],
        optimizer="sep_cma",
        parameters={"population": POPULATION},
        queries_per_target=queries,
        device=device,
    )
    return time.perf_counter() - started


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def names() -> str:
    """Both devices, in words."""
    threads = torch.get_num_threads()
    return f"{torch.cuda.get_device_name()} against {threads} threads of the processor"
