"""NES: pairs of opposite steps, an estimated gradient, and a rate that halves."""

import numpy as np
import pytest
import torch

from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.generators.inputs.perturbation import Perturbation
from blackbox_am.optimizers.attacks.nes import PATIENCE, Nes
from blackbox_am.testing.searches import Search


def image_space(channels: int = 1, height: int = 4, width: int = 5) -> Space:
    shape = (channels, height, width)
    return build_space(
        SpaceSpec("box", int(np.prod(shape)), low=(-1.0,), high=(1.0,), image_shape=shape)
    )


def test_rows_are_the_change_and_pairs_of_opposite_steps_from_it() -> None:
    search = Search(Nes(pairs=3, sigma=0.1), image_space())
    search.run(2)
    rows = search.ask()
    ahead, behind = (rows[:, 1:] - rows[:, :1]).chunk(2, dim=1)
    assert torch.allclose(ahead, -behind, atol=1e-6)
    assert float(ahead.std()) == pytest.approx(0.1, rel=0.2)


def test_the_unchanged_input_is_not_measured() -> None:
    search = Search(Nes(pairs=2), image_space())
    assert search.propose().mask()[0].tolist() == [False, True, True, True, True]
    search.run(1)
    assert search.propose().mask().all()


def test_the_estimate_is_the_mean_of_differences_times_steps() -> None:
    generator = torch.Generator().manual_seed(2)
    steps = torch.randn(1, 4, 6, generator=generator)
    slope = torch.randn(6, generator=generator)
    rows = torch.cat([steps, -steps], dim=1)
    scores = (rows * slope).sum(-1).double()
    expected = sum((step * slope).sum() * step for step in steps[0])
    found = Nes(pairs=4)._gradient(rows, scores)[0]
    assert torch.allclose(found, expected / expected.norm(), atol=1e-6)
    scores[0, 1] = torch.nan  # the pair of this row is unknown
    rest = sum((step * slope).sum() * step for i, step in enumerate(steps[0]) if i != 1)
    assert torch.allclose(Nes(pairs=4)._gradient(rows, scores)[0], rest / rest.norm(), atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_it_finds_the_best_change_of_a_linear_score(norm: str) -> None:
    space = image_space()
    slope = torch.randn(space.dim, generator=torch.Generator().manual_seed(4))
    search = Search(Nes(norm=norm), space, score=lambda x, _: (x * slope).sum(1))
    search.run(60)
    best = slope.abs().sum() if norm == "linf" else slope.norm()
    assert (search.state.score > 0.9 * best).all()
    size = search.state.change.abs().amax(1) if norm == "linf" else search.state.change.norm(dim=1)
    assert (size <= 1 + 1e-6).all()


def test_the_rate_halves_when_the_score_does_not_rise() -> None:
    search = Search(Nes(rate=0.4), image_space(), score=lambda x, _: torch.zeros(len(x)))
    search.run(2 + PATIENCE - 1)
    assert search.state.rate.tolist() == pytest.approx([0.4] * 3)
    search.run(1)
    assert search.state.rate.tolist() == pytest.approx([0.2] * 3)
    search.run(100)
    assert search.state.rate.tolist() == pytest.approx([0.4 / 160] * 3)


def test_steps_are_equal_on_blocks() -> None:
    search = Search(Nes(tile=2, pairs=1), image_space(2, 4, 5), targets=(0,))
    step = search.ask()[0, 1].reshape(2, 4, 5)
    assert torch.equal(step[:, ::2], step[:, 1::2])
    assert torch.equal(step[:, :, 0:4:2], step[:, :, 1:4:2])
    assert not torch.equal(step[:, :, 3], step[:, :, 4])


def test_changes_stay_in_the_range_of_the_input() -> None:
    clean = np.zeros((1, 1, 4, 4), dtype=np.float32)
    generator = Perturbation(inputs=clean, radius=0.1, squash=False)
    search = Search(Nes(), generator.space, targets=(0,), score=lambda x, _: -x.sum(1))
    search.optimizer = search.optimizer.bind(generator, lambda _: None)
    for _ in range(10):
        search.run(1)
        assert (search.state.change >= 0).all()


@pytest.mark.parametrize(
    "wrong", [{"pairs": 0}, {"sigma": 0.0}, {"rate": -1.0}, {"momentum": 1.5}, {"tile": 0}]
)
def test_numbers_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Nes(**wrong)  # type: ignore[arg-type]
