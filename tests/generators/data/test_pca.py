import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from blackbox_am.core.generator import check_latents
from blackbox_am.core.rng import Stream
from blackbox_am.errors import InvalidInput, InvalidSpec, NotFound
from blackbox_am.generators.data.pca import PCA, principal_components


def _stimuli(rows: int = 30, shape: tuple[int, ...] = (2, 4, 3)) -> np.ndarray:
    random = np.random.default_rng(0)
    parts = random.normal(size=(rows, 5)) @ random.normal(size=(5, int(np.prod(shape))))
    return (0.5 + 0.02 * parts).clip(0, 1).astype(np.float32).reshape(rows, *shape)


@pytest.mark.parametrize("rows", [10, 60])  # below and above the 24 values of a stimulus
def test_components_are_those_of_a_singular_value_decomposition(rows: int) -> None:
    stimuli = _stimuli(rows)
    flat = stimuli.reshape(rows, -1).astype(np.float64)
    _, singular, right = np.linalg.svd(flat - flat.mean(0), full_matrices=False)
    found = principal_components(torch.from_numpy(stimuli), 4)
    np.testing.assert_allclose(found["deviations"], singular[:4] / (rows - 1) ** 0.5, rtol=1e-4)
    np.testing.assert_allclose(abs(found["components"].numpy() @ right[:4].T), np.eye(4), atol=1e-4)


def test_random_latents_have_mean_and_covariance_of_the_data() -> None:
    stimuli = _stimuli(200, (7,))
    generator = PCA(stimuli, components=5)
    assert generator.stimulus_shape == (7,)
    assert generator.explained == pytest.approx(1, abs=1e-4)
    made = generator.render(generator.space.sample(Stream(0, "test", 0), 20_000)[0]).numpy()
    np.testing.assert_allclose(made.mean(0), stimuli.mean(0), atol=2e-3)
    np.testing.assert_allclose(np.cov(made.T), np.cov(stimuli.T), atol=2e-4)


def test_a_zero_latent_is_the_mean() -> None:
    generator = PCA(components=16)  # of the zoo's probe images
    assert generator.stimulus_shape == (3, 32, 32)
    assert 0.5 < generator.explained < 0.95
    from blackbox_am.zoo.loading import probe_images

    mean = probe_images()[0].mean(0).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(generator.render(torch.zeros(1, 16))[0], mean, atol=1e-5)


def test_files(tmp_path: Path) -> None:
    stimuli = _stimuli()
    np.save(tmp_path / "one.npy", stimuli)
    np.savez(tmp_path / "many.npz", x=np.moveaxis(stimuli, 1, -1), y=np.zeros(3))
    save_file({"x": stimuli}, tmp_path / "one.safetensors")
    latents = torch.randn(2, 3)
    expected = PCA(stimuli, components=3).render(latents)
    for made in (
        PCA(str(tmp_path / "one.npy"), components=3),
        PCA(str(tmp_path / "many.npz"), components=3, array="x", channels_last=True),
        PCA(str(tmp_path / "one.safetensors"), components=3),
    ):
        torch.testing.assert_close(made.render(latents), expected)
    with pytest.raises(
        InvalidSpec, match=r"expected one array in .*, or one called 'data'; got x, y"
    ):
        _ = PCA(str(tmp_path / "many.npz")).space
    with pytest.raises(InvalidSpec, match="or one called 'z'; got x, y"):
        _ = PCA(str(tmp_path / "many.npz"), array="z").space


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file"):
        _ = PCA(str(tmp_path / "absent.npz")).space
    for name in ("bad.npz", "bad.npy", "bad.safetensors"):
        (tmp_path / name).write_bytes(b"nonsense")
        with pytest.raises(InvalidSpec, match="cannot read"):
            _ = PCA(str(tmp_path / name)).space
    np.save(tmp_path / "pickled.npy", np.array([{"a": 1}, {"b": 2}], dtype=object))
    with pytest.raises(InvalidSpec, match=r"cannot read .*expected numbers, written by numpy"):
        _ = PCA(str(tmp_path / "pickled.npy")).space


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros(4, np.float32), "expected stimuli"),
        (np.array([["a", "b"]]), "expected numbers, got"),
        (np.full((5, 3), np.nan), "with nan"),
        (np.full((5, 3), 200.0), "from 200 to 200"),
    ],
)
def test_bad_data(data: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        _ = PCA(data).space
    with pytest.raises(InvalidSpec, match="components: expected 1 or more"):
        PCA(data, components=0)


def test_more_components_than_stimuli_are_refused() -> None:
    data = np.random.default_rng(0).random((5, 3))
    assert PCA(data).space.dim == 3
    with pytest.raises(InvalidSpec, match="have 3 at most, got 4"):
        _ = PCA(data, components=4).space
    with pytest.raises(InvalidSpec, match="bound: expected a positive number"):
        PCA(data, bound=0.0)


def test_coordinates_stay_within_their_bound() -> None:
    data = 0.5 + 0.01 * np.random.default_rng(0).standard_normal((50, 3)).clip(-4, 4)
    bounded, free = PCA(data, components=1), PCA(data, components=1, bound=None)
    near, far = torch.tensor([[1.0], [-1.5]]), torch.tensor([[3.0], [-1e6]])
    middle = free.render(torch.zeros(1, 1))
    ratio = (bounded.render(near) - middle) / (free.render(near) - middle)
    assert (ratio > 0.98).all()
    moved = (bounded.render(far) - middle).norm(dim=1)
    length = (free.render(torch.ones(1, 1)) - middle).norm()
    torch.testing.assert_close(moved / length, torch.tensor([2.52, 3.0]), atol=0.01, rtol=0)
    torch.testing.assert_close(bounded.encode(bounded.render(near)), near, atol=1e-3, rtol=0)


def test_latents_that_are_no_numbers_are_refused_at_the_edge() -> None:
    with pytest.raises(InvalidInput, match="finite numbers, got nan in row 0, coordinate 1"):
        check_latents(PCA(components=2).space, torch.tensor([[0.0, torch.nan]]))


def test_components_are_kept_on_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stimuli, latents = _stimuli(), torch.randn(2, 3)
    expected = PCA(stimuli, 3, cache=str(tmp_path)).render(latents)
    (file,) = tmp_path.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr("blackbox_am.generators.data.pca.principal_components", None)
        assert torch.equal(PCA(stimuli, 3, cache=str(tmp_path)).render(latents), expected)
    PCA(stimuli, 4, cache=str(tmp_path)).render(torch.randn(1, 4))
    assert len(list(tmp_path.iterdir())) == 2

    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with caplog.at_level(logging.WARNING):
        assert torch.equal(PCA(stimuli, 3, cache=str(tmp_path)).render(latents), expected)
    assert "damaged" in caplog.text
    assert file.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        PCA(_stimuli(), 3, cache=str(tmp_path / "file")).render(torch.zeros(1, 3))
    assert "could not be written" in caplog.text
