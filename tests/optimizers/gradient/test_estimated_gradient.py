"""Estimated gradients: their direction, their cost, and the optimizer that follows them."""

import math

import pytest
import torch

from blackbox_am.core.optimizer import Proposal, SearchContext
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.optimizers.gradient.adam import Adam
from blackbox_am.optimizers.gradient.estimated_gradient import EstimatedGradient
from blackbox_am.plugins import optimizers
from blackbox_am.testing.searches import Search

DIM = 40
SPACE = build_space(SpaceSpec("normal", DIM))


def hill(latents: torch.Tensor, target: int) -> torch.Tensor:
    """A quadratic with axes of different lengths."""
    axes = torch.linspace(0.2, 3.0, DIM, dtype=torch.float64)
    return -(axes * (latents.double() - 0.1 * target).square()).sum(-1)


def slope(latents: torch.Tensor, target: int) -> torch.Tensor:
    """The gradient of `hill`."""
    axes = torch.linspace(0.2, 3.0, DIM, dtype=torch.float64)
    return -2 * axes * (latents.double() - 0.1 * target)


def estimates(optimizer: EstimatedGradient, targets: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    """(targets, D) each: estimated and true gradients at samples of the prior."""
    search = Search(
        optimizer, SPACE, targets=tuple(range(targets)), score=hill, dtype=torch.float64
    )
    proposal = search.propose()
    scores = search.scores(proposal.latents).masked_fill(~proposal.mask(), torch.nan)
    rows = proposal.latents.view(targets, 1, -1, DIM)
    found, _ = optimizer.estimate(rows, scores.view(targets, 1, -1))
    true = torch.stack([slope(row[0, 0], k) for k, row in enumerate(rows)])
    return found[:, 0], true


@pytest.mark.parametrize("samples", [5, 20, 160])
def test_direction_is_as_good_as_theory_says(samples: int) -> None:
    """n antithetic Gaussian directions in D dimensions: the mean square of the cosine is about
    n / (n + D + 1), whatever the curvature and the width."""
    found, true = estimates(EstimatedGradient(samples=samples, sigma=0.7))
    cosine = torch.cosine_similarity(found, true, dim=-1).square().mean().sqrt().item()
    assert cosine == pytest.approx(math.sqrt(samples / (samples + DIM + 1)), rel=0.06)


@pytest.mark.parametrize("antithetic", [True, False])
def test_estimate_has_the_right_length(antithetic: bool) -> None:
    found, true = estimates(EstimatedGradient(samples=60, sigma=0.01, antithetic=antithetic))
    ratio = (found * true).sum() / true.square().sum()
    assert ratio.item() == pytest.approx(1.0, abs=0.05)


def test_opposite_steps_cancel_the_curvature() -> None:
    cosines = []
    for antithetic, samples in ((True, 10), (False, 20)):
        found, true = estimates(
            EstimatedGradient(samples=samples, sigma=2.0, antithetic=antithetic)
        )
        cosines.append(torch.cosine_similarity(found, true, dim=-1).mean().item())
    assert cosines[0] > 1.2 * cosines[1]


def test_follows_the_same_rule_as_with_true_gradients() -> None:
    """With many directions it walks where the optimizer inside walks with true gradients."""
    spec = SpaceSpec("box", 2, low=(-3.0,), high=(5.0,))
    parameters = {"population": 2, "learning_rate": 0.03, "schedule": "cosine", "steps": 25}
    paths = []
    for optimizer in (
        Adam(**parameters),  # type: ignore[arg-type]
        EstimatedGradient(inner_parameters=parameters, samples=300, sigma=0.01),
    ):
        search = Search(optimizer, build_space(spec), targets=(2,), dtype=torch.float64)
        paths.append(torch.stack(search.run(25))[:, :, :: search.told[0].shape[1] // 2])
    torch.testing.assert_close(paths[0], paths[1], rtol=0, atol=0.05)


def test_position_is_measured_only_where_the_estimate_needs_its_score() -> None:
    parameters = {"population": 2}
    for antithetic, rows, wanted in ((True, 14, 12), (False, 8, 8)):
        optimizer = EstimatedGradient(
            inner_parameters=parameters, samples=3, antithetic=antithetic
        ).resolve(SPACE, SearchContext(queries_per_target=120))
        assert optimizer.population_size(SPACE) == rows
        search = Search(optimizer, SPACE)
        proposal = Proposal.of(search.propose())
        assert proposal.mask().sum(-1).tolist() == [wanted] * 3
        assert optimizer.ascents.steps == 120 // wanted


def test_pairs_of_which_a_row_failed_are_left_out() -> None:
    optimizer = EstimatedGradient(samples=4)
    search = Search(optimizer, SPACE, targets=(0,), score=hill, dtype=torch.float64)
    rows = search.propose().latents.view(1, 1, 9, DIM)
    scores = search.scores(rows[0])[None]
    scores[..., 0] = torch.nan
    fewer = EstimatedGradient(samples=3).estimate(
        rows[:, :, [0, 1, 2, 3, 4, 7, 8]], scores[:, :, [0, 1, 2, 3, 4, 7, 8]]
    )
    scores[0, 0, 5] = torch.nan  # a pair is 5 and 6
    found = optimizer.estimate(rows, scores)
    torch.testing.assert_close(found, fewer)


def test_ascent_without_any_pair_stays() -> None:
    search = Search(EstimatedGradient(samples=2), SPACE, targets=(0,))
    before = search.state.inner["position"].clone()
    latents = search.ask()
    search.tell(latents, torch.full(latents.shape[:2], torch.nan, dtype=torch.float64))
    assert torch.equal(search.state.inner["position"], before)
    assert search.state.inner["steps"].tolist() == [[0]]


def test_start_is_the_point_about_which_it_measures() -> None:
    start = torch.full((1, DIM), 0.7)
    search = Search(EstimatedGradient(samples=5), SPACE, targets=(0,), start=start)
    rows = search.propose().latents[0]
    torch.testing.assert_close(rows[1::2] + rows[2::2], (2 * start).expand(5, -1))


def test_parameters_of_the_optimizer_inside_are_checked() -> None:
    with pytest.raises(InvalidSpec, match="adam has no parameter 'momentum'"):
        optimizers.build("estimated_gradient", {"inner_parameters": {"momentum": 0.5}})
    with pytest.raises(InvalidSpec, match=r"'sep_cma' is none of its values; .*langevin"):
        optimizers.build("estimated_gradient", {"inner": "sep_cma"})


def test_a_row_that_failed_does_not_change_the_directions_of_another_target() -> None:
    optimizer = EstimatedGradient(inner_parameters={"restarts": 2, "steps": 2})
    space = build_space(SpaceSpec("normal", 4))
    both, alone = (Search(optimizer, space, targets=names) for names in ((0, 1), (1,)))
    for generation in range(6):
        shown, own = both.ask(), alone.ask()
        assert torch.equal(shown[1:], own), generation
        scores = both.scores(shown)
        if generation:
            scores[0] = torch.nan
        both.tell(shown, scores)
        alone.tell(own, alone.scores(own))


def test_the_end_of_a_budget_cuts_off_one_pair_at_most() -> None:
    optimizer = EstimatedGradient(samples=4)
    search = Search(optimizer, build_space(SpaceSpec("normal", 3)))
    latents = search.ask()
    scores = search.scores(latents)
    scores[:, 1 + 5 :] = torch.nan
    rows = latents.unsqueeze(1)
    slopes, _ = optimizer.estimate(rows, scores.unsqueeze(1))
    assert slopes.isfinite().all()


def test_an_error_of_the_optimizer_inside_names_its_parameters() -> None:
    optimizer = EstimatedGradient(inner_parameters={"restarts": 99})
    space = build_space(SpaceSpec("normal", 3))
    with pytest.raises(InvalidSpec, match="110 queries a target is enough for") as caught:
        optimizer.resolve(space, SearchContext(queries_per_target=110))
    assert caught.value.field == "optimizer.parameters.inner_parameters"
