"""Projected gradient ascent: its steps, its restarts, and the studies that it refuses."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from blackbox_am import Margin, Misclassified, Result, TorchModule, maximise
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import GradientUnavailable
from blackbox_am.generators.inputs.perturbation import Perturbation
from blackbox_am.optimizers.attacks import _steps
from blackbox_am.optimizers.attacks.pgd import Pgd, PgdState
from blackbox_am.oracles.function import Function


def box(dim: int = 3, low: float = -1.0, high: float = 1.0) -> Space:
    return build_space(SpaceSpec("box", dim, low=(low,), high=(high,)))


def begun(optimizer: Pgd, space: Space) -> PgdState:
    return optimizer.init(space, 1, Stream(0, "init", 0))


def asked(optimizer: Pgd, space: Space, state: PgdState, generation: int = 0) -> torch.Tensor:
    return optimizer.ask(space, state, Stream(0, "ask", generation))


def told(optimizer: Pgd, space: Space, state: PgdState, slope: list[float]) -> PgdState:
    latents = asked(optimizer, space, state)
    scores = torch.zeros(1, 1, dtype=torch.float64)
    return optimizer.tell(space, state, latents, scores, torch.tensor([[slope]]))


def test_a_step_in_the_cube_is_the_sign_of_the_gradient() -> None:
    optimizer, space = Pgd(step=0.6, random_start=False), box()
    state = begun(optimizer, space)
    assert asked(optimizer, space, state).tolist() == [[[0.0, 0.0, 0.0]]]
    state = told(optimizer, space, state, [3.0, -1e-30, 0.0])
    assert state.change.flatten().tolist() == pytest.approx([0.6, -0.6, 0.0])
    state = told(optimizer, space, state, [1.0, 1.0, 1.0])
    assert state.change.flatten().tolist() == pytest.approx([1.0, 0.0, 0.6])  # 1.2 is cut to 1


def test_a_step_in_the_euclidean_ball_has_the_gradients_direction() -> None:
    optimizer, space = Pgd(norm="l2", step=0.5, random_start=False), box()
    state = told(optimizer, space, begun(optimizer, space), [3e-30, 4e-30, 0.0])
    assert state.change.flatten().tolist() == pytest.approx([0.3, 0.4, 0.0])
    state = told(optimizer, space, state, [3.0, 4.0, 0.0])
    state = told(optimizer, space, state, [0.0, 0.0, 1.0])
    # (0.6, 0.8, 0.5) is shortened to the sphere.
    expected = np.array([0.6, 0.8, 0.5]) / np.linalg.norm([0.6, 0.8, 0.5])
    assert state.change.flatten().tolist() == pytest.approx(expected, abs=1e-5)
    assert state.change.norm() < 1


def test_a_gradient_of_latents_is_one_of_changes() -> None:
    """In a box of other bounds for each coordinate the steps are those in units of the ball."""
    space = build_space(SpaceSpec("box", 2, low=(0.0, 0.0), high=(2.0, 8.0)))
    optimizer = Pgd(norm="l2", step=0.5, random_start=False)
    state = begun(optimizer, space)
    assert asked(optimizer, space, state).tolist() == [[[1.0, 4.0]]]
    state = told(optimizer, space, state, [3.0, 1.0])  # of changes: 3 and 4
    assert state.change.flatten().tolist() == pytest.approx([0.3, 0.4])


def test_momentum_sums_even_gradients() -> None:
    optimizer, space = Pgd(step=0.1, random_start=False, momentum=0.5), box(2)
    state = told(optimizer, space, begun(optimizer, space), [3.0, -1.0])  # even: 1.5, -0.5
    state = told(optimizer, space, state, [-1.0, -1.0])  # the sum: 0.75 - 1, -0.25 - 1
    assert state.momentum.flatten().tolist() == pytest.approx([-0.25, -1.25])
    assert state.change.flatten().tolist() == pytest.approx([0.0, -0.2])


def test_an_ascent_begins_again_after_its_steps_and_after_a_failure() -> None:
    optimizer, space = Pgd(step=0.1, steps=2), box()
    state = begun(optimizer, space)
    points = []
    for generation in range(4):
        points.append(asked(optimizer, space, state, generation))
        state = optimizer.tell(
            space, state, points[-1], torch.zeros(1, 1), torch.ones_like(points[-1])
        )
    assert torch.allclose(points[1], (points[0] + 0.1).clamp(max=1))
    assert torch.allclose(points[2], (points[1] + 0.1).clamp(max=1))
    assert (points[3] - points[2]).abs().max() > 0.2
    assert torch.allclose(asked(optimizer, space, state, 4), (points[3] + 0.1).clamp(max=1))
    failed = optimizer.tell(space, state, points[3], torch.zeros(1, 1), points[3] * torch.nan)
    other = asked(optimizer, space, failed, 5)
    assert not torch.equal(other, asked(optimizer, space, failed, 6))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_random_starts_fill_the_ball(norm: _steps.Norm) -> None:
    rows = _steps.scattered(Stream(0, "ask", 0, (0, 1)), 50, 20, norm)
    lengths = rows.abs().amax(-1) if norm == "linf" else rows.norm(dim=-1)
    assert lengths.max() <= 1
    assert lengths.min() > 0.7
    assert rows.mean().abs() < 0.1


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_steps_stay_in_the_ball_and_in_the_limits(norm: _steps.Norm) -> None:
    changes = 3 * torch.randn(4, 5, 30, generator=torch.Generator().manual_seed(0))
    low, high = torch.full((4, 30), -0.1), torch.full((4, 30), 0.3)
    inside = _steps.within(changes, norm, (low, high))
    assert inside.min() >= -0.1
    assert inside.max() <= 0.3
    if norm == "l2":
        assert inside.double().norm(dim=-1).max() <= 1
    assert torch.equal(_steps.within(inside, norm, (low, high)), inside)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"step": 0.0}, "step must be positive"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"population": 0}, "population must be at least 1"),
        ({"momentum": 1.5}, r"momentum must be in \[0, 1\]"),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Pgd(**parameters)


def network() -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(3)
        return torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(48, 16), torch.nn.Linear(16, 3)
        )


def images() -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (4, 3, 4, 4))
    return (noise / 255).astype(np.float32)


def attack(
    optimizer: str, oracle: Any, *, criteria: bool = True, layer: str = "2", **parameters: Any
) -> tuple[Result, list[int], Any]:
    """A study of four images; the labels are the network's own."""
    clean = images()
    classes = tuple(f"{layer}:{j}" for j in range(3))
    with torch.no_grad():
        labels = network()(torch.from_numpy(clean)).argmax(1).tolist()
    ball = Perturbation(
        inputs=clean, ball=parameters.get("norm", "linf"), radius=parameters.pop("radius"),
        squash=False, bits=8,
    )  # fmt: skip
    found = maximise(
        oracle=oracle,
        generator=ball,
        targets=[Margin(classes, label) for label in labels],
        criteria=[Misclassified(classes, label) for label in labels] if criteria else (),
        optimizer=optimizer,
        parameters=parameters,
        queries_per_target=60,
        device="cpu",
    )
    return found, labels, clean


@pytest.mark.parametrize("optimizer", ["pgd", "apgd"])
@pytest.mark.parametrize(("norm", "radius"), [("linf", 0.4), ("l2", 2.5)])
def test_it_fools_a_model_that_sees_eight_bits(optimizer: str, norm: str, radius: float) -> None:
    model = TorchModule(network(), (3, 4, 4), device="cpu")
    result, labels, clean = attack(optimizer, model, norm=norm, radius=radius)
    for best, label, image in zip(result.best, labels, clean, strict=True):
        stimulus = np.asarray(best.stimulus)
        change = (stimulus - image).astype(np.float64)
        length = np.abs(change).max() if norm == "linf" else np.linalg.norm(change)
        assert length <= radius + 1e-6
        assert np.abs(stimulus * 255 - np.round(stimulus * 255)).max() < 1e-4
        with torch.no_grad():
            answer = int(network()(torch.from_numpy(stimulus)[None]).argmax())
        assert (best.score > 0) == (answer != label)
    assert all(best.score > 0 for best in result.best)


@pytest.mark.parametrize("optimizer", ["pgd", "apgd"])
def test_it_finds_the_corner_of_a_linear_model(optimizer: str) -> None:
    """Each class has a best corner of the cube around an image; the best of these is the optimum.
    The radius is a whole number of steps of 8 bits."""
    model = TorchModule(network(), (3, 4, 4), device="cpu")
    result, labels, clean = attack(optimizer, model, criteria=False, radius=102 / 255)
    weights = (network()[2].weight @ network()[1].weight).detach().numpy()
    up, down = np.minimum(1 - clean, 0.4).reshape(4, -1), np.minimum(clean, 0.4).reshape(4, -1)
    with torch.no_grad():
        logits = network()(torch.from_numpy(clean)).numpy()
    for k, label in enumerate(labels):
        reached = [
            logits[k, other]
            - logits[k, label]
            + np.where(slope > 0, slope * up[k], -slope * down[k]).sum()
            for other in {0, 1, 2} - {label}
            for slope in [weights[other] - weights[label]]
        ]
        assert result.best[k].score == pytest.approx(max(reached), abs=1e-4)


@pytest.mark.parametrize("optimizer", ["pgd", "apgd"])
def test_it_refuses_a_black_box_when_the_study_is_created(optimizer: str) -> None:
    asked: list[int] = []

    def black_box(stimuli: np.ndarray) -> np.ndarray:
        asked.append(len(stimuli))
        return np.zeros((len(stimuli), 3), np.float32)

    def refused(make: Callable[[], object]) -> None:
        with pytest.raises(GradientUnavailable, match=rf"{optimizer} needs the capability GRAD"):
            make()

    oracle = Function(black_box, stimulus_shape=(3, 4, 4), labels=("a", "b", "c"))
    refused(lambda: attack(optimizer, oracle, layer="scores", radius=0.3))
    assert asked == [1]  # the row from which a function is described
