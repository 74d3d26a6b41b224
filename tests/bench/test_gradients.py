"""`bench gradients`: query-equivalents, the comparison with adam, and the loop of Lucid."""

import json

import numpy as np
import pytest
import torch

from blackbox_am.bench import ascents, gradients, lucid, rival_ascents
from blackbox_am.bench.problems import problem
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidInput
from blackbox_am.oracles.torch.torch_module import TorchModule


def test_gradients_cost_twice_as_much() -> None:
    assert ascents.rows_of("adam", {}, 1000) == 500
    assert ascents.rows_of("estimated_gradient", {}, 1000) == 1000


@pytest.mark.slow
def test_the_table_has_every_optimizer_and_the_speed(tmp_path) -> None:
    path = tmp_path / "gradients.json"
    names = ["nadam", "sep_cma"]
    gradients.gradients(
        ["batch", "optimizers"], ["vit+fourier_32"], names, 1, 4, 1, 100, 1, None, path
    )
    lines = {line["name"]: line for line in json.loads(path.read_text())}
    assert len(lines) == 4
    assert lines["vit+fourier_32: 32 backward passes over one"]["ratio"] > 1
    assert lines["vit+fourier_32, sep_cma"]["ratio"] < lines["vit+fourier_32, nadam"]["ratio"]


def test_the_loop_of_lucid_climbs() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.GELU())
    oracle = TorchModule(net, stimulus_shape=(3, 12, 16), device="cpu")
    units = (Unit.parse("0:1@center"), Unit.parse("2:7"))
    begun = lucid.climb(oracle, units, 2, steps=1)
    found = lucid.climb(oracle, units, 2, steps=30)
    assert found.shape == (4,)
    assert (found > begun + 0.05).all()


def test_a_program_climbs_the_score_of_the_unit() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.GELU())
    oracle = TorchModule(net, stimulus_shape=(3, 16, 16), device="cpu")

    def plain(climbed: rival_ascents.Climbed, steps: int) -> None:
        image = torch.rand(1, *climbed.shape, requires_grad=True)
        optimizer = torch.optim.Adam([image], lr=0.05)
        for _ in range(steps):
            optimizer.zero_grad()
            (-climbed(image).sum()).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    units = (Unit.parse("0:1@center"), Unit.parse("2:7"))
    begun = rival_ascents.climb(oracle, units, 2, plain, 1)
    found = rival_ascents.climb(oracle, units, 2, plain, 20)
    assert found.shape == (4,)
    assert (found > begun + 0.05).all()


@pytest.mark.parametrize("name", rival_ascents.PROGRAMS)
def test_installed_programs_climb(name: str) -> None:
    reason = rival_ascents.missing(name)
    if reason:
        pytest.skip(reason)
    case = problem("vit+fourier_32", 1, None)
    ascent = rival_ascents.PROGRAMS[name][1]
    begun, found = (
        rival_ascents.climb(case.oracle, case.units, 1, ascent, steps) for steps in (1, 20)
    )
    assert found > begun


def test_all_frequencies_are_as_many_as_pixels() -> None:
    case = problem("cnn+fourier_32", 1, None)
    assert ascents.with_all_frequencies(case).generator.space.dim == 3 * 32 * 32


def test_the_formulas_are_those_of_lucent() -> None:
    param = pytest.importorskip("lucent.optvis.param")
    torch.manual_seed(1)
    (theirs,), image = param.image(32, batch=2)
    ours, render = lucid.spectral(2, 32, 32)
    assert ours.shape == theirs.shape
    with torch.no_grad():
        ours.copy_(30 * theirs)
        theirs.mul_(30)
    np.testing.assert_allclose(render().detach(), image().detach(), atol=1e-5)


def test_unknown_parts_are_refused() -> None:
    with pytest.raises(InvalidInput, match="unknown part 'speed'; expected batch, optimizers"):
        gradients.gradients(["speed"])
