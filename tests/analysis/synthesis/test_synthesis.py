"""Inversion, dreams and style, with and without gradients."""

import numpy as np
import pytest
import torch
from torch import nn

from blackbox_am.analysis.synthesis import dream, invert, style_transfer
from blackbox_am.errors import CapabilityMissing, GradientUnavailable, InvalidSpec
from blackbox_am.generators.networks.torch_generator import TorchGenerator
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.torch.torch_module import TorchModule
from tests.analysis.models import Counted


class Toy(nn.Module):
    """Three convolutions with fixed random weights."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(4)
            self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
            self.conv2 = nn.Conv2d(4, 4, 3, 2, padding=1)
            self.conv3 = nn.Conv2d(4, 4, 3, 2, padding=1)
        self.act1, self.act2, self.act3 = nn.ReLU(), nn.ReLU(), nn.ReLU()

    def forward(self, x):
        return self.act3(self.conv3(self.act2(self.conv2(self.act1(self.conv1(x))))))


def toy():
    return TorchModule(Toy().eval(), (1, 8, 8), device="cpu")


def image(seed=0):
    return torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_the_first_layer_is_inverted_by_gradients_and_the_last_keeps_less():
    oracle = toy()
    settings = {"optimizer": "adam", "queries": 500, "parameters": {"population": 1}}
    first = invert(oracle, "conv1", image(), Pixels((1, 8, 8)), **settings)
    last = invert(oracle, "conv3", image(), Pixels((1, 8, 8)), **settings)
    others = torch.stack([image(seed) for seed in range(1, 30)])
    maps = oracle.maps(others, ["conv1"], 8).numpy()
    pairs = ((maps[:, None] - maps[None]) ** 2).sum(-1)
    typical = pairs[np.triu_indices(len(maps), 1)].mean()
    wanted = oracle.maps(image()[None], ["conv1"], 8).numpy()[0]
    assert first.error * (wanted**2).sum() / typical < 0.05
    assert last.pixel_error >= first.pixel_error
    assert first.values == 4 * 64


def test_inversion_runs_on_a_black_box_and_counts():
    model = Counted(lambda x: x.flatten(1)[:, :6])
    oracle = model.oracle(1, 3, 3, gradients=False)
    found = invert(
        oracle, "scores", np.full((1, 3, 3), 0.3), Pixels((1, 3, 3)), queries=600, optimizer="cma"
    )
    assert found.error < 0.01
    assert found.spent.rows == model.rows
    with pytest.raises(GradientUnavailable):
        invert(oracle, "scores", np.full((1, 3, 3), 0.3), Pixels((1, 3, 3)), optimizer="adam")


def test_a_layer_of_too_many_values_is_refused():
    big = TorchModule(nn.Sequential(nn.Conv2d(1, 70, 3, padding=1)), (1, 8, 8), device="cpu")
    with pytest.raises(InvalidSpec, match="4,480 values, more than 4,096"):
        invert(big, "0", image(), Pixels((1, 8, 8)))


@pytest.mark.slow
def test_a_search_in_a_vae_beats_the_nearest_neighbour():
    from sklearn.datasets import load_digits

    x = torch.from_numpy(load_digits().images / 16).float()[:, None]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32))
        decoder = nn.Sequential(
            nn.Linear(16, 128), nn.ReLU(), nn.Linear(128, 64), nn.Sigmoid(),
            nn.Unflatten(1, (1, 8, 8)),
        )  # fmt: skip
        optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 2e-3)
        for _ in range(2500):
            rows = x[torch.randint(1700, (64,))]
            mean, log = encoder(rows).chunk(2, 1)
            made = decoder(mean + torch.randn_like(mean) * (log / 2).exp())
            divergence = 0.5 * (mean**2 + log.exp() - log - 1).sum(1).mean()
            loss = ((made - rows) ** 2).flatten(1).sum(1).mean() / 0.01 + divergence
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    vae, oracle = (
        TorchGenerator(decoder.eval(), dimension=16, shape=(1, 8, 8), output_range=(0.0, 1.0)),
        toy(),
    )
    known = oracle.maps(x[:1000], ["act2"], 8)
    better = 0
    for reference in x[1700:1720]:
        wanted = oracle.maps(reference[None], ["act2"], 8)[0]
        nearest = float((known - wanted).square().sum(1).min() / wanted.square().sum())
        found = invert(oracle, "act2", reference, vae, optimizer="cma", queries=1500)
        better += found.error < nearest
    assert better >= 14


def test_a_dream_excites_the_layer_and_leaves_the_image_step_by_step():
    oracle = toy()
    still = dream(oracle, "conv2", image(), iterations=0)
    assert np.array_equal(still.dreamed, still.image)
    assert still.similarity == pytest.approx(1)
    found = [dream(oracle, "conv2", image(), octaves=octaves) for octaves in (1, 2, 4)]
    assert all(one.after > one.before for one in found)
    assert found[0].similarity > found[1].similarity > found[2].similarity
    assert found[2].spent.backward_rows == 40
    assert found[2].spent.rows == 42
    assert found[2].dreamed.min() >= 0
    assert found[2].dreamed.max() <= 1


def test_a_dream_without_gradients_stays_near_the_image():
    model = Counted(lambda x: x[:, 0, ::2, ::2].flatten(1))
    oracle = model.oracle(1, 8, 8, gradients=False)
    with pytest.raises(GradientUnavailable, match="pass gradients=False"):
        dream(oracle, "scores", image())
    before = model.rows
    found = dream(oracle, "scores", image(), gradients=False, queries=200, leash=0.5)
    assert found.after > found.before
    assert np.linalg.norm(found.dreamed - found.image) <= 0.5 + 1e-5
    assert found.spent.rows == model.rows - before


def test_the_style_loss_falls_by_nine_tenths():
    found = style_transfer(
        toy(), image(1), image(2) ** 3, style_layers=["act1", "act2"], content_layer="act2"
    )
    assert found.style_losses[-1] <= 0.1 * found.style_losses[0]
    assert len(found.style_losses) == 301
    assert found.spent.backward_rows == 300
    assert found.spent.rows == 303  # the style, the content, and each step with the last
    assert found.page().startswith("<!doctype html>")


def test_style_needs_maps():
    with pytest.raises(CapabilityMissing, match="style_transfer needs the capability MAPS"):
        style_transfer(
            Simulated(), np.zeros((3, 8, 8)), np.zeros((3, 8, 8)), style_layers=["units"]
        )
    flat = TorchModule(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), (1, 8, 8), device="cpu")
    with pytest.raises(InvalidSpec, match="'0' has no height and width"):
        style_transfer(flat, image(), image(), style_layers=["0"])
