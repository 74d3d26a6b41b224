"""Every registered optimizer on a space of codes: it searches it, or refuses in a sentence."""

import pytest
import torch
from torch import nn

from blackbox_am import plugins
from blackbox_am.core.units import Unit
from blackbox_am.errors import Unsupported
from blackbox_am.generators.networks.vq_module import VQModule
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.studies.local import maximise

NAMES = [*plugins.optimizers.names(), "nevergrad:DiscreteOnePlusOne"]
MUST = {"tensor_train", "ga", "umda", "pbil", "nevergrad", "random", "auto"}


def test_those_that_must_search_codes_say_that_they_do() -> None:
    assert {
        name for name in MUST if "categorical" not in plugins.optimizers.get(name).spaces
    } == set()


@pytest.mark.parametrize("name", NAMES)
def test_codes_are_searched_or_refused(name: str) -> None:
    torch.manual_seed(0)
    decoder = nn.Sequential(nn.ConvTranspose2d(5, 3, 2, stride=2), nn.Tanh())
    generator = VQModule(decoder, torch.randn(8, 5), (4, 4), (3, 8, 8))
    oracle = Simulated((3, 8, 8), units=2, gradients=True)
    wanted = {
        "oracle": oracle,
        "generator": generator,
        "targets": ["units:0", "units:1"],
        "optimizer": name,
        "queries_per_target": 40,
        "device": "cpu",
    }
    if "categorical" not in plugins.optimizers.get(name).spaces:
        with pytest.raises(Unsupported, match="categorical") as told:
            maximise(**wanted)
        assert told.value.message.count("cannot search") == 1
        return
    result = maximise(**wanted)
    for best in result.best:
        assert (best.latent.shape, best.latent.dtype.name) == ((16,), "int64")
        assert ((best.latent >= 0) & (best.latent < 8)).all()
        codes = torch.from_numpy(best.latent.copy())[None]
        again = oracle.observe(generator.render(codes), [Unit.parse(f"units:{best.target}")])
        assert float(again) == pytest.approx(best.score, rel=1e-5)
