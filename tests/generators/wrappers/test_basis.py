import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from blackbox_am import plugins
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import GradientUnavailable, InvalidSpec
from blackbox_am.generators.data.pca import PCA
from blackbox_am.generators.diffusers.diffusers_vae import DiffusersVAE
from blackbox_am.generators.diffusers.diffusers_vq import DiffusersVQ
from blackbox_am.generators.inputs.perturbation import Perturbation
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.generators.wrappers.basis import Basis


def _linear() -> PCA:
    """Linear where it is not cut off, which it never is: s_i are known."""
    random = np.random.default_rng(0)
    data = 0.5 + random.normal(size=(40, 30)) * np.linspace(0.001, 0.03, 30)
    return PCA(data.astype(np.float32), components=8, bound=None)


class Saddle(Pixels):
    """A generator whose Jacobian differs from place to place, on any space."""

    def __init__(self, space: SpaceSpec) -> None:
        super().__init__((3,))
        vars(self)["spec"] = space

    @property
    def space(self) -> Space:
        return build_space(vars(self)["spec"])

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        x, y, z = latents.unbind(1)
        return 0.5 + 0.01 * torch.stack([x * y, 2 * x + z, z**3], dim=1)


def test_the_metric_of_a_linear_generator_is_known(tmp_path: Path) -> None:
    inner = _linear()
    basis = Basis(inner, cache=str(tmp_path), samples=3)
    deviations = inner._basis["deviations"]
    torch.testing.assert_close(basis.eigenvalues, deviations.square(), rtol=1e-3, atol=1e-8)
    vectors = basis._spectrum["vectors"]
    torch.testing.assert_close(vectors, torch.eye(8), atol=1e-2, rtol=0)


@pytest.mark.parametrize(
    "space",
    [
        SpaceSpec("normal", 3),
        SpaceSpec("sphere", 3, radius=2.0),
        SpaceSpec("box", 3, low=(-1.0, 0.0, 2.0), high=(1.0, 3.0, 3.0)),
        SpaceSpec(
            "product",
            3,
            parts=(SpaceSpec("normal", 2), SpaceSpec("box", 1, low=(0.0,), high=(1.0,))),
        ),
    ],
)
def test_exact_and_probed_metrics_agree_with_finite_differences(
    space: SpaceSpec, tmp_path: Path
) -> None:
    inner, count = Saddle(space), 30
    exact = Basis(inner, samples=count, probes=0, cache=str(tmp_path))
    found = exact._spectrum
    metric = found["vectors"].T @ found["values"].diag() @ found["vectors"]

    from blackbox_am.generators.wrappers.basis import moments

    mean, deviation = moments(inner.space)
    drawn = inner.space.sample(Stream(0, "basis", 0), count)[0]

    def render(u: torch.Tensor) -> torch.Tensor:
        z = inner.space.project(mean + deviation * u)
        return (
            torch.stack([z[:, 0] * z[:, 1], 2 * z[:, 0] + z[:, 2], z[:, 2] ** 3], dim=1).double()
            * 0.01
        )

    u, step = ((drawn - mean) / deviation).double(), 1e-5
    columns = [
        (render(u + step * e) - render(u - step * e)) / (2 * step)
        for e in torch.eye(3, dtype=torch.float64)
    ]
    jacobian = torch.stack(columns, dim=2)
    expected = (jacobian.transpose(1, 2) @ jacobian).mean(0)
    torch.testing.assert_close(metric.double(), expected, rtol=1e-2, atol=1e-6)

    probed = Basis(inner, samples=count, probes=400, cache=str(tmp_path))
    torch.testing.assert_close(probed.eigenvalues, exact.eigenvalues, rtol=0.1, atol=1e-6)


def test_scales_are_powers_of_the_eigenvalues_with_mean_square_one(tmp_path: Path) -> None:
    inner = _linear()

    def scales(**parameters: Any) -> torch.Tensor:
        basis = Basis(inner, samples=2, cache=str(tmp_path), **parameters)
        return basis._map.on(torch.device("cpu"))[0].norm(dim=1)

    values = Basis(inner, samples=2, cache=str(tmp_path)).eigenvalues
    torch.testing.assert_close(scales(power=0.0), torch.ones(8))
    even = scales(power=0.5, floor=1e-6)
    torch.testing.assert_close(even * values.sqrt() / (even[0] * values[0].sqrt()), torch.ones(8))
    assert float(even.square().mean()) == pytest.approx(1)
    floored = scales(power=0.5, floor=0.5)
    assert floored.max() / floored.min() == pytest.approx(2**0.5, rel=1e-4)
    grown = scales(power=0.0, growth=2.0)
    torch.testing.assert_close(grown[1:] / grown[:-1], torch.full((7,), np.exp(-0.5).item()))
    assert len(scales(dimensions=3)) == 3


def test_with_power_one_half_every_coordinate_changes_the_stimulus_alike(tmp_path: Path) -> None:
    basis = Basis(_linear(), power=0.5, floor=1e-6, samples=2, cache=str(tmp_path))
    middle = basis.render(torch.zeros(1, 8))
    changes = (basis.render(torch.eye(8)) - middle).norm(dim=1)
    torch.testing.assert_close(changes, changes.mean().expand(8), rtol=1e-3, atol=0)


@pytest.mark.slow
def test_the_first_directions_of_a_decoder_do_most(vae_folder: str, tmp_path: Path) -> None:
    inner = DiffusersVAE(vae_folder)
    top = Basis(inner, dimensions=8, power=0.0, samples=4, cache=str(tmp_path))
    assert top.space.dim == 8
    within = top.latents_within(torch.eye(8))
    middle = inner.render(torch.zeros(1, 32))
    step = 0.1

    def change(directions: torch.Tensor) -> float:
        return float((inner.render(step * directions) - middle).square().sum((1, 2, 3)).mean())

    last = top._spectrum["vectors"][-8:]
    assert change(within) > 3 * change(last)
    torch.testing.assert_close(within @ within.T, torch.eye(8), atol=1e-4, rtol=0)


def test_is_kept_by_what_the_weights_are(
    vae_folder: str,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def made(**parameters: Any) -> Basis:
        given = {"samples": 2, "probes": 1} | parameters
        basis = Basis(DiffusersVAE(vae_folder), cache=str(tmp_path), **given)
        basis.render(torch.zeros(1, 32))
        return basis

    values = made().eigenvalues
    (file,) = tmp_path.iterdir()
    written = file.stat().st_mtime_ns
    assert torch.equal(made(power=0.2).eigenvalues, values)  # scales need no new metric
    assert file.stat().st_mtime_ns == written
    made(probes=2)
    assert len(list(tmp_path.iterdir())) == 2

    file.write_bytes(b"damaged")
    with caplog.at_level(logging.WARNING):
        assert torch.equal(made().eigenvalues, values)
    assert "damaged" in caplog.text

    other = tmp_path_factory.mktemp("other") / "vae"
    shutil.copytree(vae_folder, other)
    weights = load_file(other / "diffusion_pytorch_model.safetensors")
    changed = {name: tensor + 1.0 for name, tensor in weights.items()}
    save_file(changed, other / "diffusion_pytorch_model.safetensors")
    Basis(DiffusersVAE(str(other)), cache=str(tmp_path), samples=2, probes=1).render(
        torch.zeros(1, 32)
    )
    assert len(list(tmp_path.iterdir())) == 3


def test_targets_reach_the_generator_within(tmp_path: Path) -> None:
    clean = np.random.default_rng(0).random((2, 1, 4, 4)).astype(np.float32)
    basis = Basis(Perturbation(clean), dimensions=5, samples=2, cache=str(tmp_path))
    assert basis.targets == 2
    made = basis.render_targets(torch.zeros(2, 5), torch.tensor([1, 0]))
    assert np.array_equal(made.numpy(), clean[[1, 0]])


class Lever(Pixels):
    """Of two targets: coordinate t moves the stimulus of target t by 3 + t, or by `second`."""

    second = 4.0

    def __init__(self) -> None:
        super().__init__((2,))

    @property
    def space(self) -> Space:
        return build_space(SpaceSpec("normal", 2))

    @property
    def targets(self) -> int:
        return 2

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        return self.render_targets(latents, torch.zeros(len(latents), dtype=torch.int64))

    def render_targets(self, latents: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        arms = torch.diag(torch.tensor([3.0, self.second]))
        return latents * arms[targets]


class LongerLever(Lever):
    kind = Lever.kind
    second = 5.0


@pytest.mark.parametrize("probes", [0, pytest.param(4000, marks=pytest.mark.slow)])
def test_the_metric_is_averaged_over_targets(probes: int, tmp_path: Path) -> None:
    def values(inner: Lever) -> list[float]:
        basis = Basis(inner, samples=6, batch_size=3, probes=probes, cache=str(tmp_path))
        return basis.eigenvalues.tolist()

    assert values(Lever()) == pytest.approx([16 / 2, 9 / 2], rel=0.05)
    # It is another metric where only another target than the first differs.
    assert values(LongerLever()) == pytest.approx([25 / 2, 9 / 2], rel=0.05)


def test_codes_have_no_jacobian(vq_folder: str) -> None:
    with pytest.raises(GradientUnavailable, match="this diffusers_vq generator has no gradients"):
        Basis(DiffusersVQ(vq_folder, "codes"))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"dimensions": 0}, "dimensions: expected 1 to 3"),
        ({"dimensions": 4}, "dimensions: expected 1 to 3, those of the latent within, got 4"),
        ({"power": -1.0}, "power: expected 0 to 1"),
        ({"growth": 0.0}, "growth: expected a positive number"),
        ({"floor": 0.0}, "floor"),
        ({"samples": 0}, "samples"),
        ({"probes": -1}, "probes"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        plugins.wrap_generator(Pixels((3,)), "basis", parameters)
