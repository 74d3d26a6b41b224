"""Natural adversaries: shells that widen, contract and refine, also in a latent neighbourhood."""

from typing import Any

import numpy as np
import pytest
import torch

from blackbox_am import Margin, Misclassified, Threshold, maximise, zoo
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.core.units import Unit
from blackbox_am.generators.inputs.neighbourhood import Neighbourhood
from blackbox_am.objectives.label import Label
from blackbox_am.optimizers.attacks.natural_adversary import (
    CONTRACTING,
    REFINING,
    WIDENING,
    NaturalAdversary,
)
from blackbox_am.testing.searches import Search

HEADS = tuple(f"head:{j}" for j in range(10))


def normal(dim: int = 16) -> Space:
    return build_space(SpaceSpec("normal", dim))


def beyond(distance: float):
    """Fooled where the first coordinate is larger: the nearest success lies on its axis."""
    return lambda latents, _: latents[:, 0].double() - distance


def test_shells_move_outwards_until_a_sample_fools_the_model() -> None:
    space = normal()
    search = Search(NaturalAdversary(width=0.25), space, score=beyond(100.0), targets=(0,))
    for generation in range(5):
        latents = search.run(1)[-1][0]
        radii = latents.norm(dim=1)
        if generation == 0:
            assert radii[0] == 0, "the first sample is the origin"
            radii = radii[1:]
        assert radii.min() >= generation - 1e-4
        assert radii.max() <= generation + 1 + 1e-4
    assert search.state.phase.tolist() == [WIDENING]


def test_a_success_contracts_the_shell() -> None:
    search = Search(NaturalAdversary(near=0.0), normal(), targets=(0,))
    latents = search.ask()
    lengths = latents[0].norm(dim=1)
    scores = torch.full((1, 20), -1.0, dtype=torch.float64)
    scores[0, 3:] = 1.0
    search.tell(latents, scores)
    nearest = float(lengths[3:].min())
    assert search.state.phase.tolist() == [CONTRACTING]
    assert float(search.state.distance) == pytest.approx(nearest)
    assert float(search.state.low) == pytest.approx(nearest / 2)
    assert float(search.state.high) == pytest.approx(nearest)
    assert float(search.state.best.norm()) == pytest.approx(nearest)
    # After a round without a success, low moves halfway; a thin shell is then the last one.
    search.state.high.fill_(8.0)
    search.state.distance.fill_(8.0)
    search.state.low.fill_(4.0)
    lows = []
    for _ in range(6):
        latents = search.ask()
        assert latents[0].norm(dim=1).min() >= float(search.state.low) - 1e-4
        assert latents[0].norm(dim=1).max() <= 8 + 1e-4
        search.tell(latents, torch.full((1, 20), -1.0, dtype=torch.float64))
        lows.append(float(search.state.low))
    assert lows == pytest.approx([6, 7, 7.5, 7.75, 7.6, 7.6])
    assert search.state.phase.tolist() == [REFINING]


def test_a_round_that_failed_is_repeated() -> None:
    search = Search(NaturalAdversary(), normal(), targets=(0,))
    high = float(search.state.high)
    search.tell(search.ask(), torch.full((1, 20), torch.nan, dtype=torch.float64))
    assert float(search.state.high) == high
    assert float(search.state.low) == 0


@pytest.mark.parametrize("near", [0.5, 0.9])
def test_it_finds_the_nearest_success(near: float) -> None:
    search = Search(NaturalAdversary(near=near), normal(), score=beyond(2.0))
    search.run(60)
    assert search.state.distance.max() < 2.6  # a random direction has to go 8 on average
    assert (search.state.best[:, 0] > 2).all()
    unguided = Search(NaturalAdversary(near=0.0), normal(), score=beyond(2.0))
    unguided.run(60)
    assert unguided.state.distance.mean() > search.state.distance.mean()


def test_a_start_is_the_origin() -> None:
    start = torch.full((3, 16), 1.5)
    search = Search(NaturalAdversary(), normal(), score=beyond(3.5), start=start)
    search.run(60)
    assert search.state.distance.max() < 2.6
    assert torch.equal(search.told[0][:, 0], start)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"population": 0}, "population must be at least 1"),
        ({"width": 0.0}, "width must be positive"),
        ({"near": 1.5}, r"near must be in \[0, 1\]"),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NaturalAdversary(**parameters)


@pytest.fixture(scope="module")
def around() -> tuple[Neighbourhood, list[int]]:
    """Two images whose reconstructions the shipped classifier recognises, and its answers."""
    images = np.load(zoo.path("probe_images"))["x"][[25, 45]]
    generator = Neighbourhood(inputs=images, channels_last=True, radius=8.0)
    with torch.no_grad():
        decoded = generator.render_targets(torch.zeros(2, 128), torch.arange(2))
        answers = Catalogue.default().oracle("cifar_cnn").observe(decoded, _units())
    return generator, answers.argmax(1).tolist()


def _units() -> list[Unit]:
    return [Unit("head", j) for j in range(10)]


@pytest.mark.slow
def test_cma_fools_a_model_in_a_latent_neighbourhood(around) -> None:
    generator, labels = around
    result = maximise(
        oracle="cifar_cnn",
        generator=generator,
        targets=[Margin(HEADS, label) for label in labels],
        criteria=[Misclassified(HEADS, label) for label in labels],
        optimizer="cma",
        queries_per_target=120,
        device="cpu",
    )
    for k, best in enumerate(result.best):
        assert best.score > 0
        stimulus = torch.from_numpy(np.array(best.stimulus))[None]
        with torch.no_grad():
            answer = Catalogue.default().oracle("cifar_cnn").observe(stimulus, _units())
        assert int(answer.argmax()) != labels[k]


@pytest.mark.slow
def test_the_best_of_a_study_is_the_nearest_success(around) -> None:
    """A criterion of the label and of `latent.norm` ends a target that is near enough."""
    generator, labels = around
    targets = [Label((*HEADS, "latent.norm"), label, closest=True) for label in labels]
    near = Threshold(("latent.norm",), at_most=4.0)
    result = maximise(
        oracle="cifar_cnn",
        generator=generator,
        targets=targets,
        criteria=[Misclassified(HEADS, label) & near for label in labels],
        optimizer="natural_adversary",
        queries_per_target=240,
        device="cpu",
    )
    for best in result.best:
        assert best.score > 0
        assert best.score == pytest.approx(1 / (1 + np.linalg.norm(best.latent)), rel=1e-4)
        assert np.linalg.norm(best.latent) <= 4
