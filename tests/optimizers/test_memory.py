"""`memory_bytes` of an optimizer is what its search needs in a process of its own."""

import json
import sys

import pytest

from blackbox_am import plugins
from blackbox_am.core.optimizer import kinds
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from tests import forked

SLACK = 16 * 2**20
"""What the libraries take for themselves: buffers of threads, and memory that is free again."""

MEASURE = """
import gc, json, sys
from pathlib import Path
import torch
from blackbox_am.core.optimizer import SearchContext
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.plugins import optimizers

torch.set_num_threads(1)
name, kind, side, targets, generations = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])

def search(shape, targets):
    box = {"low": (0.0,), "high": (1.0,)} if kind == "box" else {}
    dim = shape[0] * shape[1] * shape[2]
    space = build_space(SpaceSpec(kind, dim, image_shape=shape, **box))
    optimizer = optimizers.build(name, {})
    context = SearchContext(generations * optimizer.population_size(space), targets, False)
    optimizer = optimizer.resolve(space, context).bind(Pixels(shape=shape), None)
    keys = [str(target) for target in range(targets)]
    state = optimizer.init(space, targets, Stream(0, "init", 0, keys))
    for generation in range(generations):
        asked = optimizer.ask(space, state, Stream(0, "ask", generation, keys))
        latents = space.project(getattr(asked, "latents", asked))
        scores = -(latents[..., :16].double() - 1).square().mean(-1)
        wanted = getattr(asked, "wanted", None)
        if wanted is not None:
            scores = torch.where(wanted, scores, torch.nan)
        gradients = torch.ones_like(latents) if optimizer.order else None
        state = optimizer.tell(space, state, latents, scores, gradients)
    return optimizer.memory_bytes(space, targets)

def memory(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

search((3, 4, 4), 1)  # imports, and compiles what has to be compiled
gc.collect()
Path("/proc/self/clear_refs").write_text("5")  # the peak is that from here on
before = memory("VmRSS")
declared = search((3, side, side), targets)
print(json.dumps([declared, memory("VmHWM") - before]))
"""


def measured(name, kind, side, targets, generations):
    """The declared and the measured bytes of a search of 3 side^2 dimensions."""
    arguments = [name, kind, str(side), str(targets), str(generations)]
    done = forked.run([sys.executable, "-c", MEASURE, *arguments], timeout=300)
    declared, peak = json.loads(done.stdout.splitlines()[-1])
    return declared, peak


@pytest.mark.parametrize(
    ("name", "side", "targets", "generations"),
    [
        ("pycma", 18, 4, 3),
        ("nevergrad", 32, 8, 4),
        ("tensor_train", 16, 8, 2),
        ("pixel_ridge", 32, 8, 3),
        ("restarts", 18, 8, 2),
    ],
)
def test_optimizers_that_remember_much_say_so(name, side, targets, generations):
    declared, peak = measured(name, "normal", side, targets, generations)
    assert peak > SLACK, "too small to measure"
    assert peak <= 1.25 * declared + SLACK


def searches(kind):
    """The optimizers that search images of this kind and need no model of the catalogue."""
    bounds = {"low": (0.0,), "high": (1.0,)} if kind == "box" else {}
    space = build_space(SpaceSpec(kind, 48, image_shape=(3, 4, 4), **bounds))
    known = {name: plugins.optimizers.get(name) for name in plugins.optimizers.names()}
    return [
        name
        for name, optimizer in known.items()
        if kinds(space) <= optimizer.spaces and name not in ("auto", "encoding_model", "dgn_am")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", searches("normal"))
def test_every_optimizer_of_normal_latents_says_what_it_needs(name):
    declared, peak = measured(name, "normal", 16, 48, 4)
    assert peak <= 1.25 * declared + SLACK


@pytest.mark.slow
@pytest.mark.parametrize("name", searches("box"))
def test_every_optimizer_of_boxes_says_what_it_needs(name):
    declared, peak = measured(name, "box", 16, 48, 4)
    assert peak <= 1.25 * declared + SLACK
