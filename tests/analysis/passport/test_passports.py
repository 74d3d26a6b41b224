"""Passports: tuning, natural extremes, flags, searches and their plausibility."""

import numpy as np
import pytest
import torch
from torch import nn

from blackbox_am.analysis.passport import layer_flags, passports, tunings
from blackbox_am.analysis.passport.controlled import gratings
from blackbox_am.analysis.passport.excited import Excited, plausibility_of
from blackbox_am.analysis.passport.passports import file_of
from blackbox_am.analysis.subject import Subject
from blackbox_am.errors import InvalidSpec, Unsupported
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.studies.local import maximise
from tests.analysis.models import Counted


def gabors(*degrees: float, side: int = 32, cycles: float = 4.0) -> Counted:
    """Units that prefer bars at the given angles, counter-clockwise from the horizontal."""
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, side),) * 2, indexing="ij")
    y = -y
    weights = []
    for angle in torch.tensor(degrees).deg2rad():
        along = -angle.sin() * x + angle.cos() * y
        weights.append(torch.exp(-3 * (x**2 + y**2)) * torch.cos(torch.pi * cycles * along))
    stack = torch.stack(weights).flatten(1)
    return Counted(lambda s: s.mean(1).flatten(1) @ stack.T)


def natural(rows: int = 24, side: int = 32) -> torch.Tensor:
    return torch.rand(rows, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("angle", [0.0, 33.0, 58.0, 90.0, 147.0, 176.0])
def test_the_preferred_orientation_is_found_within_5_degrees(angle):
    subject = Subject(gabors(angle).oracle(3, 32, 32), ["scores:0"], method="passport")
    (tuned,) = tunings(subject)
    orientation, frequency, position, colour = tuned
    off = abs(orientation.best - angle) % 180
    assert min(off, 180 - off) <= 5
    assert frequency.best == pytest.approx(4.0, rel=0.5)
    assert position.responses.shape == (2, 8, 8)
    assert len(colour.values) == 12


def test_horizontal_bars_are_at_0_degrees():
    bars = gratings((1, 16, 16))[0, 2, 0, 0]
    assert torch.allclose(bars, bars[:, :1].expand_as(bars), atol=1e-5)
    assert bars.min() >= 0
    assert bars.max() <= 1


def test_planted_dead_constant_saturated_and_duplicate_units_are_listed_and_no_others():
    values = np.random.default_rng(0).standard_normal((60, 8))
    values[:, 1] = np.minimum(values[:, 1], 0)  # dead: a ReLU before it would never be on
    values[:, 2] = 3.0
    values[:, 3] = np.minimum(values[:, 3], -0.5) + 1
    values[:, 5] = -2 * values[:, 4] + 1
    values[:, 6] *= 1e-9  # such as the probability of a class that is rare
    found = layer_flags(values)
    assert found.dead.nonzero()[0].tolist() == [1]
    assert found.constant.nonzero()[0].tolist() == [2]
    assert found.saturated.nonzero()[0].tolist() == [1, 3]  # half of unit 1 is its largest value, 0
    assert found.duplicates == ((4, 5),)
    assert found.twins(5) == (4,)
    with pytest.raises(InvalidSpec, match="10 stimuli or more"):
        layer_flags(values[:5])


def test_pages_and_accounts(tmp_path):
    model = gabors(20.0, 110.0, 20.0)
    oracle = model.oracle(3, 32, 32)
    found = passports(
        oracle,
        [f"scores:{i}" for i in range(3)],
        natural(),
        generator=Pixels((3, 32, 32)),
        seeds=(0, 1),
        queries=20,
        features=lambda s: s.flatten(1),
    )
    assert found.spent.rows == model.rows
    assert found.layer.duplicates == ((0, 2),)
    first = found.units[0]
    assert first.twins == ("scores:2",)
    assert first.scores[first.top_places[0]] == first.scores.max()
    assert first.scores[first.bottom_places[0]] == first.scores.min()
    assert [one.seed for one in first.excited] == [0, 1]
    page = found.save(tmp_path)
    index = page.read_text("utf-8")
    for unit in found.units:
        file = tmp_path / f"unit-{unit.subject.replace(':', '-')}.html"
        assert f'href="{file.name}"' in index
        text = file.read_text("utf-8")
        assert "duplicate" in text or unit.subject == "scores:1"
        assert "Search results" in text
        assert "http" not in text.split("</style>")[1].replace("http://www.w3.org", "")


def test_a_stimulus_without_finite_features_is_not_fooling():
    shown = natural()
    measured = plausibility_of(lambda s: s.flatten(1), shown)
    found = measured(torch.stack([shown[0], shown[0] * torch.nan, shown[0] * 0]))
    assert found[0] == 1
    assert np.isnan(found[1])
    assert found[2] == 0
    lost = Excited(0, 5.0, shown[1].numpy(), 1.0, float(found[1]))
    assert not lost.fooling
    with pytest.raises(InvalidSpec, match="features: expected finite numbers for two natural"):
        plausibility_of(lambda s: s.flatten(1) * torch.nan, shown)


def test_no_two_units_have_one_page():
    units = ["a_b:1", "a-b:1", "a.b:1", "'a/b':1", "'a b':1", "a_b:1@2,3", "a_b:1@2-3"]
    assert len({file_of(unit) for unit in units}) == len(units)
    assert file_of("head:3") == "unit-head-3.html"


def test_a_study_takes_the_place_of_a_search():
    oracle = gabors(20.0, 110.0).oracle(3, 32, 32)
    units = ["scores:0", "scores:1"]
    study = maximise(
        oracle=oracle, generator=Pixels((3, 32, 32)), targets=units, queries_per_target=20
    )
    settings = {"tuning": False, "field": False, "features": lambda s: s.flatten(1)}
    found = passports(oracle, units, natural(), study=study, **settings)
    assert found.units[1].best.score == study.best[1].score
    assert found.spent.rows == len(natural())  # the function was described by the study
    with pytest.raises(InvalidSpec, match="the results of the units in their order"):
        passports(oracle, units[::-1], natural(), study=study, **settings)


def test_what_is_no_image_is_refused():
    row = Counted(lambda s: s[:, :1]).oracle(7)
    with pytest.raises(Unsupported, match="expected images of 1 or 3 channels"):
        passports(row, ["scores:0"], torch.rand(20, 7))


class _Digits(nn.Sequential):
    def __init__(self, seed):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            super().__init__(
                nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1),
                nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 64), nn.ReLU(),
                nn.Linear(64, 10),
            )  # fmt: skip


def _trained(net, loss_of, steps, rate=2e-3):
    optimiser = torch.optim.Adam(net.parameters(), rate)
    for step in range(steps):
        optimiser.zero_grad()
        loss_of(step).backward()
        optimiser.step()
    return net.eval()


@pytest.mark.slow
def test_a_search_in_pixels_is_fooling_and_one_in_a_vae_is_not():
    from sklearn.datasets import load_digits

    from blackbox_am.generators.networks.torch_generator import TorchGenerator

    data = load_digits()
    x = torch.from_numpy(data.images / 16).float()[:, None]
    y = torch.from_numpy(data.target)
    order = torch.Generator().manual_seed(0)

    def batch():
        return torch.randint(len(x), (64,), generator=order)

    def classifier(seed):
        net = _Digits(seed)

        def loss(step):
            rows = batch()
            return nn.functional.cross_entropy(net(x[rows]), y[rows])

        return _trained(net, loss, 300)

    first, second = classifier(0), classifier(1)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 16))
        decoder = nn.Sequential(
            nn.Linear(8, 128), nn.ReLU(), nn.Linear(128, 64), nn.Sigmoid(),
            nn.Unflatten(1, (1, 8, 8)),
        )  # fmt: skip
        both = nn.ModuleList([encoder, decoder])

        def loss(step):
            rows = x[batch()]
            mean, log = encoder(rows).chunk(2, 1)
            made = decoder(mean + torch.randn_like(mean) * (log / 2).exp())
            divergence = 0.5 * (mean**2 + log.exp() - log - 1).sum(1).mean()
            return ((made - rows) ** 2).flatten(1).sum(1).mean() / 0.1 + divergence

        _trained(both, loss, 1500)
    oracle = TorchModule(first, (1, 8, 8), device="cpu")
    layers = [layer.name for layer in oracle.describe().layers]
    units = [f"{layers[-1]}:{digit}" for digit in range(10)]
    vae = TorchGenerator(decoder, dimension=8, shape=(1, 8, 8), output_range=(0.0, 1.0))
    hidden = nn.Sequential(*list(second)[:8])

    def features(stimuli):
        with torch.no_grad():
            return hidden(stimuli)

    fooled = {}
    for name, generator in (("pixels", Pixels((1, 8, 8))), ("vae", vae)):
        found = passports(
            oracle, units, x[:1000], generator=generator, seeds=(0,), queries=300,
            penalties={"latent.norm": 1.0} if name == "vae" else None,
            tuning=False, field=False, features=features,
        )  # fmt: skip
        fooled[name] = sum(one.best.fooling for one in found.units)
    assert fooled["pixels"] >= 8
    assert fooled["vae"] <= 2
