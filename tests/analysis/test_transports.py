"""Every method that needs scores alone runs on ONNX, HTTP and remote oracles."""

from pathlib import Path

import numpy as np
import pytest
import torch

from blackbox_am.analysis.attribution import compare_maps, finite_differences, occlusion
from blackbox_am.analysis.directions import alignment, probe
from blackbox_am.analysis.geometry import compare_models, components, geometry
from blackbox_am.analysis.meaning import clip_dissect, facets
from blackbox_am.analysis.passport import passports
from blackbox_am.analysis.sensitivity import sobol, sobol_latents
from blackbox_am.analysis.synthesis import dream, invert
from blackbox_am.generators.parametric.pixels import Pixels
from tests.oracles.transports import KINDS, TRANSPORTS

SHAPE = KINDS["grey"]
UNIT, LAYER = "scores:7", "scores"


def rows(count: int, seed: int = 0) -> np.ndarray:
    draws = torch.Generator().manual_seed(seed)
    return torch.rand(count, *SHAPE, generator=draws).numpy()


def compared(oracle):
    one = rows(1)[0]
    maps = [
        occlusion(oracle, UNIT, one, window=1),
        finite_differences(oracle, UNIT, one, cells=5),
    ]
    return compare_maps(oracle, UNIT, maps, controls=2, steps=2)


METHODS = {
    "compare_maps": compared,
    "sobol": lambda o: sobol(o, UNIT, samples=2),
    "sobol_latents": lambda o: sobol_latents(o, UNIT, Pixels(SHAPE), samples=2),
    "passport": lambda o: passports(
        o,
        ["scores:0", UNIT],
        rows(10),
        generator=Pixels(SHAPE),
        seeds=(0,),
        queries=8,
        features=lambda s: s.flatten(1),
    ),
    "clip_dissect": lambda o: clip_dissect(
        o, ["scores:0", UNIT], rows(10), rows(10).reshape(10, -1), np.eye(20)[:3], ("a", "b", "c")
    ),
    "facets": lambda o: facets(o, UNIT, rows(12), k=2),
    "probe": lambda o: probe(o, LAYER, rows(12), rows(12, 1), draws=2),
    "alignment": lambda o: alignment(o, LAYER, rows(12), rows(12, 1)),
    "geometry": lambda o: geometry(o, LAYER, rows(8), np.arange(8) % 2, tsne=False),
    "compare_models": lambda o: compare_models(
        o, o, LAYER, rows(8), np.arange(8) % 2, resamples=20
    ),
    "components": lambda o: components(o, LAYER, rows(8), k=2),
    "invert": lambda o: invert(o, LAYER, rows(1)[0], Pixels(SHAPE), queries=30),
    "dream": lambda o: dream(o, LAYER, rows(1)[0], gradients=False, queries=20, leash=0.5),
}


@pytest.mark.parametrize("transport", ["onnx", "http, numbers", "remote"])
@pytest.mark.parametrize("method", METHODS)
def test_a_black_box_method_runs_and_is_paid(method, transport, tmp_path: Path):
    with TRANSPORTS[transport].opened(SHAPE, tmp_path) as oracle:
        found = METHODS[method](oracle)
    assert found.spent.rows > 0
    assert found.page().startswith("<!doctype html>")
    assert all(np.asarray(array).size for array in found.data().values())
