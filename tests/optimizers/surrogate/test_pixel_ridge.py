"""The search along a readout of pixels: what it gains, where it starts, what it refuses."""

from typing import Any

import pytest
import torch

from blackbox_am import plugins
from blackbox_am.core.optimizer import SearchContext
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec, Unsupported
from blackbox_am.generators.diffusers.diffusers_vq import DiffusersVQ
from blackbox_am.generators.inputs.perturbation import Perturbation
from blackbox_am.optimizers.surrogate.pixel_ridge import PixelRidge
from blackbox_am.studies.equipment import no_network
from blackbox_am.testing.local_models import Canvas
from blackbox_am.testing.searches import Search, finite

SPACE = build_space(SpaceSpec("normal", 128))
CANVAS = Canvas(SPACE.spec)
TARGETS = (0, 1, 2, 3)


def _filters(latents: torch.Tensor, target: int) -> torch.Tensor:
    """(P,) a unit behind the canvas: a random filter and a nonlinearity."""
    weights = torch.randn(36, generator=torch.Generator().manual_seed(target), dtype=torch.float64)
    return torch.exp(0.3 * (CANVAS.render(latents).flatten(1).double() @ weights))


def _search(name: str, **parameters: Any) -> Search:
    return Search(plugins.optimizers.build(name, parameters), SPACE, TARGETS, _filters)


def _best(search: Search, rows: int) -> torch.Tensor:
    """(K,) the best scores of the first `rows` rows."""
    told = search.run(rows // search.optimizer.population_size(SPACE))
    return torch.stack([search.scores(latents) for latents in told]).amax((0, 2))


def test_is_ahead_of_snes_where_pixels_decide() -> None:
    assert (_best(_search("pixel_ridge"), 160) > 1.2 * _best(_search("snes"), 160)).all()


def test_a_constant_unit_leaves_the_radius_and_goes_on() -> None:
    search = Search(PixelRidge(), SPACE, TARGETS, lambda x, _: torch.zeros(len(x)).double())
    before = search.state.radius.clone()
    search.run(6)
    assert torch.equal(search.state.radius, before)
    assert not search.state.readout.any()
    assert finite(search.state)


def test_measures_the_start_first_and_goes_on_around_it() -> None:
    search = _search("pixel_ridge")
    start = 2.0 * torch.randn(4, 128, generator=torch.Generator().manual_seed(1))
    search.state = search.optimizer.started_at(SPACE, search.state, start)
    first = search.ask()
    assert torch.equal(first[:, 0], start)
    distances = (first[:, 1:] - start.unsqueeze(1)).square().mean(-1).sqrt()
    torch.testing.assert_close(distances, torch.full_like(distances, 0.3), rtol=0.3, atol=0.0)
    score = search.scores(start.unsqueeze(1))[:, 0]
    search.run(10)
    assert (search.state.best > score).all()


def test_without_a_start_samples_of_the_prior_come_first() -> None:
    search = _search("pixel_ridge")
    told = torch.cat(search.run(2), 1)
    assert told.std() == pytest.approx(1.0, abs=0.05)
    assert search.state.readout.any(1).all()
    centre = search.optimizer.center(SPACE, search.state)
    torch.testing.assert_close(search.scores(centre.unsqueeze(1))[:, 0], search.state.best)


def test_one_row_lies_at_the_middle_and_one_at_the_end_of_the_path() -> None:
    search = _search("pixel_ridge", radius=3.0)
    search.run(3)
    rows = search.ask() - search.state.centre.unsqueeze(1)
    radius = search.state.radius
    assert (rows[:, 0].norm(dim=-1) <= radius / 2 + 1e-4).all()
    assert (rows[:, 1].norm(dim=-1) <= radius + 1e-4).all()
    assert (rows[:, 1].norm(dim=-1) > radius / 2).all()


def test_failed_rows_teach_nothing() -> None:
    search = _search("pixel_ridge")
    for _ in range(5):
        latents = search.ask()
        scores = search.scores(latents)
        scores[:, ::3] = torch.nan
        search.tell(latents, scores)
    assert search.state.present.sum() == 4 * 5 * 5
    assert not search.state.pixels[:, :40:8].any()
    assert search.state.readout.any(1).all()


# Under noise


def _noisy(latents: torch.Tensor, target: int) -> torch.Tensor:
    """`_filters` times a random factor of deviation .5 that the latents decide."""
    bits = (latents.double().sum(-1) * 1e6).sin() + (latents.double().sum(-1) * 1e7).sin()
    return _filters(latents, target) * (1 + 0.5 * bits)


def test_a_noisy_study_chooses_the_form_that_does_not_follow_the_luckiest_row() -> None:
    exact = PixelRidge().resolve(SPACE, SearchContext(1000))
    noisy = PixelRidge().resolve(SPACE, SearchContext(1000, noisy=True))
    assert (exact.elitist, noisy.elitist) == (True, False)
    assert noisy.population_size(SPACE) > exact.population_size(SPACE)
    assert PixelRidge(elitist=True).resolve(SPACE, SearchContext(9, noisy=True)).elitist


def test_the_centre_climbs_under_noise() -> None:
    search = Search(PixelRidge(elitist=False), SPACE, TARGETS, _noisy)
    search.run(15)
    centre = search.optimizer.center(SPACE, search.state).unsqueeze(1)
    prior = SPACE.sample(Stream(0, "prior", 0, TARGETS), 200)
    true = torch.stack([_filters(x, k)[0] for x, k in zip(centre, TARGETS, strict=True)])
    usual = torch.stack([_filters(x, k) for x, k in zip(prior, TARGETS, strict=True)])
    assert (true > usual.amax(1)).all()


# What it needs


@pytest.mark.parametrize(
    ("generator", "says"),
    [
        (None, "pixel_ridge follows .* this study has none"),
        (DiffusersVQ(latent="codes"), "this diffusers_vq generator has no gradients"),
        (
            Perturbation(torch.zeros(2, 3, 4, 4).numpy(), radius=0.1),
            "this perturbation generator makes other stimuli for each",
        ),
    ],
)
def test_says_what_is_missing(generator: Any, says: str) -> None:
    with pytest.raises(Unsupported, match=says):
        PixelRidge().bind(generator, no_network)


def test_refuses_to_work_without_a_generator() -> None:
    with pytest.raises(Unsupported, match="needs a differentiable generator"):
        PixelRidge().init(SPACE, 1, Stream(0, "init", 0))


def test_says_what_it_would_need_of_memory() -> None:
    small = PixelRidge(archive=16, max_bytes=2 * (16 * 36 * 4 + 16**2 * 8)).bind(CANVAS, no_network)
    small.init(SPACE, 2, Stream(0, "init", 0, (0, 1)))
    with pytest.raises(Unsupported, match="13056 bytes to keep 36 pixels of 16 rows for 3 targets"):
        small.init(SPACE, 3, Stream(0, "init", 0, (0, 1, 2)))


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"population": 3}, "population must be at least 4"),
        ({"path_rows": 1}, "path_rows must be at least 2"),
        ({"path_rows": 8}, "path_rows must be less than the population, 8"),
        ({"archive": 7}, "archive must be at least 8"),
        ({"elitist": False, "archive": 23}, "archive must be at least 24"),
        ({"radius": 0.0}, "radius must be positive"),
        ({"decay": 0.0}, "decay must be positive"),
        ({"side": 0}, "side must be at least 1"),
        ({"max_bytes": 0}, "max_bytes must be positive"),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidSpec, match=says):
        plugins.optimizers.build("pixel_ridge", parameters)
