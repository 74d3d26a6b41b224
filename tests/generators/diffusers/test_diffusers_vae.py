from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from blackbox_am.errors import InvalidSpec, NotFound
from blackbox_am.generators.diffusers.diffusers_vae import DiffusersVAE

Slopes = Callable[..., tuple[float, float]]


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


def test_gradients_are_those_of_the_decoder(vae_folder: str, slopes_of: Slopes) -> None:
    latents = torch.randn(1, 32, generator=torch.Generator().manual_seed(1))
    direction = torch.randn(1, 32, generator=torch.Generator().manual_seed(2)) / 32**0.5
    slope, measured = slopes_of(DiffusersVAE(vae_folder), latents, direction)
    assert slope == pytest.approx(measured, rel=0.02)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"_class_name": "VQModel"}, "use the generator diffusers_vq"),
        ({"_class_name": "UNet2DModel"}, "names UNet2DModel, which cannot decode"),
        ({"_class_name": "AutoencoderKLL"}, "did you mean 'AutoencoderKL'"),
        ({"_class_name": None}, "names the class None"),
        ({"scaling_factor": None}, "give the parameter scaling_factor"),
        ({"sample_size": None}, "give size"),
        ({"latent_channels": None}, "says nothing of latent_channels"),
        ({"block_out_channels": None}, "says nothing of block_out_channels"),
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


def test_a_missing_scaling_factor_can_be_given(
    vae_folder: str, with_config: Callable[..., str]
) -> None:
    latents = torch.randn(2, 32)
    folder = with_config(vae_folder, scaling_factor=None)
    given = DiffusersVAE(folder, scaling_factor=0.5).render(latents)
    assert torch.equal(given, DiffusersVAE(vae_folder).render(latents))
    folder = with_config(vae_folder, latents_mean=[9.0, 9.0], latents_std=[9.0, 9.0])
    assert torch.equal(given, DiffusersVAE(folder, scaling_factor=0.5).render(latents))


def test_pictures_of_another_size(vae_folder: str) -> None:
    generator = DiffusersVAE(vae_folder, size=24)
    assert generator.space.spec.image_shape == (2, 6, 6)
    assert generator.render(torch.zeros(1, 72)).shape == (1, *generator.stimulus_shape)
    with pytest.raises(InvalidSpec, match="multiple of 4"):
        _ = DiffusersVAE(vae_folder, size=18).space


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"scaling_factor": 0.0}, "above 0"), ({"size": 0}, "1 or more pixels")],
)
def test_bad_parameters(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        DiffusersVAE(**parameters)


def test_a_tiny_autoencoder_decodes_as_it_does_itself(tmp_path: Path) -> None:
    from diffusers import AutoencoderTiny

    torch.manual_seed(0)
    model = AutoencoderTiny(
        encoder_block_out_channels=(4, 4, 4),
        decoder_block_out_channels=(4, 4, 4),
        num_encoder_blocks=(1, 1, 1),
        num_decoder_blocks=(1, 1, 1),
        latent_channels=3,
    ).eval()
    model.save_pretrained(tmp_path)
    generator = DiffusersVAE(str(tmp_path), size=16)
    assert generator.space.spec.image_shape == (3, 4, 4)
    latents = torch.randn(2, 48)
    with torch.no_grad():
        pictures = model.decode(latents.reshape(2, 3, 4, 4)).sample
    torch.testing.assert_close(generator.render(latents), (pictures / 2 + 0.5).clamp(0, 1))
    with pytest.raises(InvalidSpec, match="give size"):
        _ = DiffusersVAE(str(tmp_path)).space


def test_a_decoder_that_draws_noise_draws_the_same_for_every_row(tmp_path: Path) -> None:
    from diffusers import ConsistencyDecoderVAE

    torch.manual_seed(0)
    ConsistencyDecoderVAE(
        sample_size=16,
        encoder_block_out_channels=(4, 4),
        encoder_down_block_types=("DownEncoderBlock2D",) * 2,
        encoder_norm_num_groups=2,
        encoder_out_channels=4,
        decoder_block_out_channels=(4, 4),
        decoder_down_block_types=("ResnetDownsampleBlock2D",) * 2,
        decoder_up_block_types=("ResnetUpsampleBlock2D",) * 2,
        decoder_norm_num_groups=2,
        decoder_layers_per_block=1,
    ).save_pretrained(tmp_path)
    generator = DiffusersVAE(str(tmp_path))
    latents = torch.randn(3, generator.space.dim)
    pictures = generator.render(latents)
    assert pictures.shape == (3, 3, 16, 16)
    assert torch.equal(pictures, generator.render(latents))
    torch.testing.assert_close(pictures[1:2], generator.render(latents[1:2]), rtol=1e-3, atol=1e-4)
    assert not torch.equal(pictures[0], pictures[1])


def test_a_decoder_of_other_pictures_than_promised(
    vae_folder: str, with_config: Callable[..., str]
) -> None:
    folder = with_config(vae_folder, block_out_channels=[4, 4, 8], upsampling_scaling_factor=4)
    with pytest.raises(InvalidSpec, match="promises pictures of shape"):
        DiffusersVAE(folder).render(torch.zeros(1, 2))


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
    with pytest.raises(InvalidSpec, match=r"of another shape: decoder\.conv_in\.weight"):
        DiffusersVAE(str(folder)).render(torch.zeros(1, 32))
    (folder / "config.json").write_text("{")
    with pytest.raises(InvalidSpec, match="no JSON"):
        _ = DiffusersVAE(str(folder)).space


def test_a_decoder_of_videos_makes_one_frame_each(tmp_path: Path) -> None:
    from diffusers import AutoencoderKLTemporalDecoder

    torch.manual_seed(0)
    model = AutoencoderKLTemporalDecoder(
        block_out_channels=(32,), layers_per_block=1, sample_size=16
    ).eval()
    model.save_pretrained(tmp_path)
    generator = DiffusersVAE(str(tmp_path))
    assert generator.stimulus_shape == (3, 16, 16)
    latents = torch.randn(3, generator.space.dim)
    scaled = latents.reshape(3, 4, 16, 16) / model.config.scaling_factor
    with torch.no_grad():
        alone = torch.cat([model.decode(row[None], num_frames=1).sample for row in scaled])
    expected = (alone / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(generator.render(latents), expected, rtol=1e-4, atol=1e-5)


def test_a_decoder_that_takes_nothing_but_videos_is_refused(tmp_path: Path) -> None:
    from diffusers import AutoencoderKLCogVideoX

    AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 2,
        up_block_types=("CogVideoXUpBlock3D",) * 2,
        block_out_channels=(8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        sample_height=16,
        sample_width=16,
    ).save_pretrained(tmp_path)
    generator = DiffusersVAE(str(tmp_path), size=16)
    with pytest.raises(InvalidSpec, match="CogVideoX cannot decode latents of images, of shape"):
        generator.render(torch.zeros(1, generator.space.dim))


def test_latents_that_overflow_are_nan_and_not_white(vae_folder: str) -> None:
    latents = torch.zeros(2, 32)
    latents[1] = torch.inf
    stimuli = DiffusersVAE(vae_folder).render(latents)
    assert stimuli[0].isfinite().all()
    assert stimuli[1].isnan().any()
