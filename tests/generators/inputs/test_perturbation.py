import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_am import Mean, Simulated, maximise, plugins
from blackbox_am.core.rng import Stream
from blackbox_am.errors import InvalidSpec, NotFound, ShapeMismatch, Unsupported
from blackbox_am.evaluation import LocalEvaluator, Rows
from blackbox_am.evaluation.rendering import render
from blackbox_am.generators.diffusers.diffusers_vae import DiffusersVAE
from blackbox_am.generators.inputs.neighbourhood import Neighbourhood
from blackbox_am.generators.inputs.perturbation import Perturbation
from blackbox_am.generators.wrappers.mask import Mask
from blackbox_am.zoo.loading import probe_images


def _inputs(count: int, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    inputs = random.random((count, *shape)).astype(np.float32)
    # Corners, and numbers next to them, are where clipping and rounding matter.
    return np.where(random.random(inputs.shape) < 0.3, inputs.round(), inputs)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(
        [
            ("linf", "pixels"),
            ("linf", "tiles"),
            ("linf", "stripes"),
            ("linf", "dct"),
            ("l2", "pixels"),
            ("l2", "stripes"),
        ]
    ),
    st.floats(0.001, 1),
    st.sampled_from([0.0, 1e-20, 0.01, 1.0, 50.0, 1e15]),
    st.integers(0, 10**6),
)
def test_what_is_rendered_lies_in_the_ball_exactly(
    kind: Any, radius: float, scale: float, seed: int
) -> None:
    ball, basis = kind
    clean = _inputs(2, (3, 9, 10), seed)
    generator = Perturbation(clean, ball=ball, radius=radius, basis=basis, size=3)
    latents = scale * generator.space.sample(Stream(seed, "test", 0), 6)[0]
    targets = torch.tensor([0, 1] * 3)
    stimuli = generator.render_targets(latents, targets).numpy().astype(np.float64)
    assert 0 <= stimuli.min() <= stimuli.max() <= 1
    change = (stimuli - clean.astype(np.float64)[targets]).reshape(6, -1)
    norms = abs(change).max(1) if ball == "linf" else np.sqrt((change**2).sum(1))
    assert norms.max() <= radius
    if ball == "linf" and scale == 1e15:
        # It uses the ball to its edge, but for rounding.
        assert norms.max() > radius * 0.999 - 1e-6


def test_stripes_are_a_number_for_each_column_and_tiles() -> None:
    clean = np.full((1, 2, 4, 6), 0.5, np.float32)
    generator = Perturbation(clean, radius=0.1, basis="stripes", size=2)
    assert generator.space.dim == 2 * (6 + 2 * 2)
    latents = torch.zeros(2, 20)
    latents[0, 6 + 2] = 0.1  # column 2 of the second channel
    latents[1, 12 + 1] = -0.1  # the upper right tile of the first channel
    changes = generator.render(latents) - 0.5
    expected = torch.zeros(2, 2, 4, 6)
    expected[0, 1, :, 2] = 0.1 * math.tanh(0.4)
    expected[1, 0, :2, 3:] = -0.1 * math.tanh(0.2)
    assert torch.allclose(changes, expected, atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from([(3, 5, 6), (2, 20), (30,)]),
    st.integers(1, 20),
    st.sampled_from([0.0, 1.0, 1e10]),
    st.integers(0, 10**6),
)
def test_no_more_places_change_than_asked_for(
    shape: tuple[int, ...], places: int, scale: float, seed: int
) -> None:
    clean = _inputs(1, shape, seed)
    generator = Perturbation(clean, ball="l0", radius=places)
    latents = scale * generator.space.sample(Stream(seed, "test", 0), 5)[0]
    stimuli = generator.render(latents)
    assert stimuli.min() >= 0
    assert stimuli.max() <= 1
    changed = stimuli.numpy() != clean
    if len(shape) > 1:
        changed = changed.any(axis=1)
    assert changed.reshape(5, -1).sum(1).max() <= places


def test_the_largest_places_take_the_colours_of_the_latent() -> None:
    clean = np.full((1, 3, 2, 2), 0.5, np.float32)
    latent = torch.zeros(3, 2, 2)
    latent[:, 0, 1] = torch.tensor([5.0, -5.0, 0.0])
    latent[:, 1, 0] = 1.0
    stimulus = Perturbation(clean, ball="l0", radius=1).render(latent.reshape(1, 12))[0]
    torch.testing.assert_close(stimulus[:, 0, 1], torch.sigmoid(2 * latent[:, 0, 1]))
    stimulus[:, 0, 1] = 0.5
    assert stimulus.eq(0.5).all()


def test_a_zero_latent_is_the_input_in_every_ball_but_of_places() -> None:
    clean = _inputs(1, (3, 6, 6))
    for ball in ("linf", "l2"):
        generator = Perturbation(clean, ball=ball, radius=0.5)
        assert np.array_equal(generator.render(torch.zeros(1, 108)).numpy(), clean)
        latents = torch.zeros(1, 108, requires_grad=True)
        generator.render(latents).square().sum().backward()
        assert latents.grad.isfinite().all()
        assert latents.grad.abs().max() > 0


def test_a_latent_step_changes_a_stimulus_by_one_of_its_steps() -> None:
    clean = np.full((1, 1, 2, 2), 100, np.uint8)
    generator = Perturbation(clean, radius=0.5, squash=False, bits=8)
    latents = torch.tensor([[0.0, 1.0, -3.0, 10.0]]) * generator.latent_step
    changed = generator.render(latents).flatten() * 255 - 100
    assert changed.tolist() == pytest.approx([0.0, 1.0, -3.0, 10.0], abs=1e-3)
    for other in ({"bits": 0}, {"squash": True}, {"ball": "l2"}, {"basis": "dct", "size": 2}):
        assert Perturbation(clean, **{"squash": False, "bits": 8, **other}).latent_step == 0  # type: ignore[arg-type]


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([("linf", 8 / 255), ("linf", 0.3), ("l2", 0.5), ("l2", 5.0), ("l0", 7)]),
    st.sampled_from([0.0, 0.01, 1.0, 5.0]),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_stimuli_of_8_bits_lie_in_the_ball(
    ball: tuple[Any, float], scale: float, squash: bool, seed: int
) -> None:
    kind, radius = ball
    clean = (_inputs(2, (3, 9, 10), seed) * 255).round().astype(np.uint8)
    generator = Perturbation(clean, ball=kind, radius=radius, squash=squash, bits=8)
    latents = scale * generator.space.sample(Stream(seed, "test", 0), 6)[0]
    targets = torch.tensor([0, 1] * 3)
    stimuli = generator.render_targets(latents, targets).numpy().astype(np.float64) * 255
    assert abs(stimuli - stimuli.round()).max() < 1e-4
    assert 0 <= stimuli.min() <= stimuli.max() <= 255 + 1e-4
    change = stimuli.round() - clean[targets].astype(np.float64)
    if kind == "linf":
        assert abs(change).max() <= radius * 255 + 1e-9
    elif kind == "l2":
        assert np.sqrt((change.reshape(6, -1) ** 2).sum(1)).max() <= radius * 255
    else:
        assert (abs(change).max(1) > 0).reshape(6, -1).sum(1).max() <= radius


def test_a_latent_that_is_the_change_itself() -> None:
    clean = np.full((1, 1, 2, 2), 128, np.uint8)
    latent = torch.tensor([[1.0, -1.0, 0.5, 0.0]])
    linf = Perturbation(clean, radius=8 / 255, squash=False, bits=8)
    assert (linf.space.kind, linf.space.spec.image_shape) == ("box", (1, 2, 2))
    assert (linf.render(latent) * 255).round().flatten().tolist() == [136, 120, 132, 128]
    l2 = Perturbation(clean, ball="l2", radius=0.3, squash=False)
    assert (l2.render(latent) - 128 / 255).norm() == pytest.approx(0.3, rel=1e-4)
    assert (l2.render(latent / 15) - 128 / 255).norm() == pytest.approx(0.03, rel=1e-4)
    places = Perturbation(clean, ball="l0", radius=2, squash=False)
    assert (places.render(latent) * 255).round().flatten().tolist() == [255, 0, 128, 128]
    none = torch.zeros(1, 4)
    assert torch.equal(places.render(none), linf.render(none))


def test_gradients_pass_the_rounding() -> None:
    clean = np.full((1, 1, 2, 2), 128, np.uint8)
    latent = torch.zeros(1, 4, requires_grad=True)
    Perturbation(clean, radius=0.1, squash=False, bits=8).render(latent).sum().backward()
    assert latent.grad is not None
    assert latent.grad.tolist() == [pytest.approx([0.1] * 4, rel=1e-3)]


def test_tiles_and_frequencies() -> None:
    clean = np.full((1, 1, 6, 9), 0.5, np.float32)
    latents = torch.randn(1, 9)
    tiles = Perturbation(clean, basis="tiles", size=3, radius=0.1).render(latents)[0, 0]
    for row in range(3):
        for column in range(3):
            tile = tiles[2 * row : 2 * row + 2, 3 * column : 3 * column + 3]
            assert tile.unique().numel() == 1
    assert tiles.unique().numel() == 9
    generator = Perturbation(clean, basis="dct", size=3, radius=0.1)
    change = generator._spread(torch.randn(4000, 1, 3, 3))
    assert float(change.square().mean()) == pytest.approx(1, abs=0.05)
    from scipy.fft import dctn

    spectrum = dctn(change[0, 0].numpy(), norm="ortho")
    spectrum[:3, :3] = 0
    assert abs(spectrum).max() < 1e-5


def test_each_target_has_its_own_input() -> None:
    clean = _inputs(3, (1, 8, 8))
    generator = Perturbation(clean, radius=0.01)
    latents = torch.randn(3, 2, 64)
    oracle = Simulated((1, 8, 8), gradients=True)
    objectives = [Mean((f"units:{k}",)) for k in range(3)]
    units = [objective.reads()[0] for objective in objectives]
    evaluator = LocalEvaluator(generator, oracle, objectives, 4)
    # Targets come in any order, and some of them are finished.
    found = evaluator.submit(Rows.of(latents[:2], [2, 0]), gradients=True).result()
    values = torch.from_numpy(found.values).float().reshape(2, 2, 1)
    for k, target in enumerate((2, 0)):
        stimuli = torch.from_numpy(clean[target]) + 0.01 * latents[k].tanh().reshape(2, 1, 8, 8)
        expected = oracle.observe(stimuli.clamp(0, 1), [units[target]])
        torch.testing.assert_close(values[k], expected, rtol=1e-4, atol=1e-5)
    assert found.gradients.abs().sum(1).min() > 0
    with pytest.raises(InvalidSpec, match=r"made for 3 targets.* and the study has 2"):
        LocalEvaluator(generator, oracle, objectives[:2], 4)


def test_a_search_around_two_inputs_returns_stimuli_around_each() -> None:
    clean = _inputs(2, (1, 8, 8))
    search = {
        "oracle": Simulated((1, 8, 8)),
        "generator": Mask(Perturbation(clean, radius=0.05, basis="tiles", size=4)),
        "queries_per_target": 60,
        "optimizer": "sep_cma",
        "device": "cpu",
    }
    found = maximise(targets=["units:3", "units:3"], **search)
    for best, input_ in zip(found.best, clean, strict=True):
        assert 0 < abs(best.stimulus - input_).max() <= 0.05
    with pytest.raises(InvalidSpec, match="the study has 1"):
        maximise(targets=["units:3"], **search)
    one = search | {"generator": Perturbation(clean[:1], radius=0.05)}
    assert len(maximise(targets=["units:3", "units:1"], **one).best) == 2


def test_rows_for_callers_know_their_targets() -> None:
    clean = _inputs(3, (1, 4, 4))
    generator = Perturbation(clean, radius=0.1)
    latents = np.zeros((5, 16), np.float32)
    assert np.array_equal(render(generator, latents, [2, 0, 0, 1, 2]), clean[[2, 0, 0, 1, 2]])
    assert np.array_equal(render(generator, latents), clean[[0] * 5])


def test_an_optimizer_that_learns_of_all_targets_at_once_refuses_other_inputs() -> None:
    inputs = probe_images()[0][:2].transpose(0, 3, 1, 2)
    with pytest.raises(Unsupported, match="makes other stimuli for each"):
        maximise(
            oracle="cifar_cnn",
            generator=Perturbation(inputs),
            targets=["head:3", "head:4"],
            optimizer="encoding_model",
            queries_per_target=10,
            device="cpu",
        )


def test_inputs_come_from_files_and_of_several_some_are_taken(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=_inputs(4, (2, 3, 1)), y=np.arange(4))
    path = str(tmp_path / "x.npz")
    generator = Perturbation(path, "x", channels_last=True, rows=(3, 1))
    assert generator.stimulus_shape == (1, 2, 3)
    assert generator.targets == 2
    with pytest.raises(InvalidSpec, match="rows: there are 4 inputs, 0 to 3, got 4"):
        _ = Perturbation(path, "x", rows=(4,)).space
    with pytest.raises(NotFound):
        _ = Perturbation("absent.npz").space


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"radius": 0.0}, "for linf 0.00001 to 1, got 0.0"),
        ({"radius": 1.5}, "for linf"),
        ({"ball": "l2", "radius": 0.0}, "for l2"),
        ({"ball": "l0", "radius": 1.5}, "number of places"),
        ({"ball": "l0", "radius": 2.0, "basis": "dct"}, "pixels for l0"),
        ({"ball": "l0", "radius": 37.0}, "36 places at most"),
        ({"basis": "tiles", "size": 7}, "of 7 x 7 are for images"),
        ({"size": 0}, "size: expected 1 or more"),
        ({"ball": "l1"}, "ball|Invalid enum"),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], message: str) -> None:
    inputs = np.zeros((1, 3, 6, 6), np.float32)
    with pytest.raises(InvalidSpec, match=message):
        _ = plugins.generators.build("perturbation", {"inputs": inputs, **parameters}).space


class TestNeighbourhood:
    def test_stays_within_the_radius_around_the_code(self, monkeypatch: pytest.MonkeyPatch) -> None:
        images = probe_images()[0][[5, 50]].transpose(0, 3, 1, 2)
        generator = Neighbourhood(images, radius=2.0)
        assert generator.targets == 2
        codes = DiffusersVAE().encode(torch.from_numpy(images / np.float32(255)))
        monkeypatch.setattr(DiffusersVAE, "render", lambda self, latents: latents)
        targets = torch.tensor([1, 0, 1])
        decoded = generator.render_targets(5 * torch.randn(3, 128), targets)
        distances = (decoded - codes[targets]).norm(dim=1)
        assert distances.max() <= 2.0 + 1e-4
        assert distances.min() > 1.9

    def test_a_zero_latent_is_the_reconstruction(self) -> None:
        images = probe_images()[0][[5, 50, 150]].transpose(0, 3, 1, 2) / np.float32(255)
        generator = Neighbourhood(images)
        stimuli = generator.render_targets(torch.zeros(3, 128), torch.arange(3)).numpy()
        error = ((stimuli - images) ** 2).mean((1, 2, 3))
        others = ((stimuli - images[[1, 2, 0]]) ** 2).mean((1, 2, 3))
        assert error.max() < 0.02 < others.min()

    def test_bad_parameters(self) -> None:
        with pytest.raises(InvalidSpec, match="radius: expected a positive number"):
            Neighbourhood(np.zeros((1, 3, 32, 32)), radius=0.0)
        small = Neighbourhood(np.zeros((1, 3, 8, 8)))
        with pytest.raises(InvalidSpec, match=r"expected images of shape \(3, 32, 32\)"):
            _ = small.space
        with pytest.raises(ShapeMismatch, match="latents"):
            Neighbourhood(np.zeros((1, 3, 32, 32))).render(torch.zeros(1, 5))
