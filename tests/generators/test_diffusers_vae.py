from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from blackbox_am.errors import InvalidSpec, NotFound
from blackbox_am.generators.diffusers_vae import DiffusersVAE


def _decode(folder: str, latents: torch.Tensor) -> torch.Tensor:
    from diffusers import AutoencoderKL

    with torch.no_grad():
        return AutoencoderKL.from_pretrained(folder).eval().decode(latents).sample


def test_space_and_shape_come_from_the_configuration_alone(vae_folder: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((Path(vae_folder) / "config.json").read_bytes())
    generator = DiffusersVAE(str(tmp_path))
    assert generator.space.kind == "normal"
    assert generator.space.spec.image_shape == (2, 4, 4)
    assert generator.stimulus_shape == (3, 16, 16)
    with pytest.raises(NotFound, match=r"diffusion_pytorch_model\.safetensors"):
        generator.render(torch.zeros(1, 32))


def test_decodes_latents_over_the_scaling_factor(vae_folder: str) -> None:
    latents = torch.randn(3, 32)
    pictures = _decode(vae_folder, latents.reshape(3, 2, 4, 4) / 0.5)
    expected = (pictures / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(DiffusersVAE(vae_folder).render(latents), expected)


def test_whitens_with_the_statistics_of_each_channel(
    vae_folder: str, with_config: Callable[..., str]
) -> None:
    folder = with_config(vae_folder, latents_mean=[0.5, -1.0], latents_std=[2.0, 3.0])
    latents = torch.randn(3, 32)
    shaped = latents.reshape(3, 2, 4, 4)
    shaped = torch.stack([shaped[:, 0] * 2 + 0.5, shaped[:, 1] * 3 - 1], dim=1)
    expected = (_decode(vae_folder, shaped) / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(DiffusersVAE(folder).render(latents), expected)


def test_gradients_are_those_of_the_decoder(vae_folder: str) -> None:
    generator = DiffusersVAE(vae_folder)
    latents = torch.randn(1, 32, generator=torch.Generator().manual_seed(1))
    direction = torch.randn(1, 32, generator=torch.Generator().manual_seed(2)) / 32**0.5
    leaf = latents.clone().requires_grad_()
    (slope,) = torch.autograd.grad(generator.render(leaf).square().mean(), leaf)

    def value(step: float) -> float:
        return float(generator.render(latents + step * direction).double().square().mean())

    measured = (value(1e-2) - value(-1e-2)) / 2e-2
    assert float((slope * direction).sum()) == pytest.approx(measured, rel=0.02)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"_class_name": "VQModel"}, "expected an AutoencoderKL, found 'VQModel'"),
        ({"latents_mean": [1.0], "latents_std": [1.0]}, "2 latent channels, got 1 and 1"),
        ({"latents_mean": [1.0, 1.0]}, "got 2 and 0"),
        ({"latents_mean": [1.0, 1.0], "latents_std": [1.0, 0.0]}, "positive deviation"),
    ],
)
def test_bad_configurations(
    values: dict[str, object],
    message: str,
    vae_folder: str,
    with_config: Callable[..., str],
) -> None:
    with pytest.raises(InvalidSpec, match=message):
        _ = DiffusersVAE(with_config(vae_folder, **values)).space


def test_missing_folders_and_files(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"config\.json"):
        _ = DiffusersVAE(str(tmp_path)).space
    with pytest.raises(NotFound, match="zoo:NAME"):
        _ = DiffusersVAE(str(tmp_path / "nothing")).space
    with pytest.raises(NotFound, match="cifar_vae"):
        _ = DiffusersVAE("zoo:cifar_va").space


def test_damaged_files(vae_folder: str, with_config: Callable[..., str]) -> None:
    folder = Path(with_config(vae_folder))
    save_file(
        {"decoder.conv_in.weight": torch.zeros(1)}, folder / "diffusion_pytorch_model.safetensors"
    )
    with pytest.raises(InvalidSpec, match="do not fit"):
        DiffusersVAE(str(folder)).render(torch.zeros(1, 32))
    (folder / "config.json").write_text("{")
    with pytest.raises(InvalidSpec, match="no JSON"):
        _ = DiffusersVAE(str(folder)).space
