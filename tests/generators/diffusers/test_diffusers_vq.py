from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from blackbox_am import plugins
from blackbox_am.core.generator import check_latents
from blackbox_am.errors import InvalidInput, InvalidSpec, ShapeMismatch
from blackbox_am.generators.diffusers.diffusers_vq import DiffusersVQ


def _model(folder: str):
    from diffusers import VQModel

    return VQModel.from_pretrained(folder).eval()


def test_spaces_come_from_the_configuration_alone(vq_folder: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((Path(vq_folder) / "config.json").read_bytes())
    codes = DiffusersVQ(str(tmp_path), "codes").space
    assert (codes.kind, codes.dim, codes.spec.categories) == ("categorical", 64, 20)
    assert codes.spec.image_shape == (1, 8, 8)
    continuous = DiffusersVQ(str(tmp_path)).space
    assert (continuous.kind, continuous.spec.image_shape) == ("normal", (3, 8, 8))
    assert DiffusersVQ(str(tmp_path)).stimulus_shape == (3, 16, 16)


def test_codes_are_looked_up_row_by_row(vq_folder: str) -> None:
    model = _model(vq_folder)
    codes = torch.arange(64).remainder(20)[None]
    vectors = model.quantize.embedding.weight[codes[0]].T.reshape(1, 3, 8, 8)
    with torch.no_grad():
        pictures = model.decode(vectors, force_not_quantize=True).sample
    expected = (pictures / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(DiffusersVQ(vq_folder, "codes").render(codes), expected)


def test_continuous_latents_are_whitened_and_quantised(
    vq_folder: str, with_config: Callable[..., str]
) -> None:
    model = _model(vq_folder)
    latents = torch.randn(2, 192)
    book = model.quantize.embedding.weight.detach()
    statistics = {
        vq_folder: (book.mean(0), book.std(0)),
        with_config(
            vq_folder, latents_mean=[0.5, 0.0, -0.5], latents_std=[1.0, 2.0, 3.0]
        ): (torch.tensor([0.5, 0.0, -0.5]), torch.tensor([1.0, 2.0, 3.0])),
    }  # fmt: skip
    for folder, (mean, std) in statistics.items():
        shaped = latents.reshape(2, 3, 8, 8) * std[:, None, None] + mean[:, None, None]
        with torch.no_grad():
            pictures = model.decode(shaped).sample
        torch.testing.assert_close(
            DiffusersVQ(folder).render(latents), (pictures / 2 + 0.5).clamp(0, 1)
        )


def test_a_quantised_picture_is_the_picture_of_its_codes(vq_folder: str) -> None:
    codes = torch.randint(0, 20, (2, 64))
    book = _model(vq_folder).quantize.embedding.weight.detach()
    white = (book - book.mean(0)) / book.std(0)
    latents = white[codes].permute(0, 2, 1).reshape(2, -1)
    torch.testing.assert_close(
        DiffusersVQ(vq_folder).render(latents), DiffusersVQ(vq_folder, "codes").render(codes)
    )


def test_codes_from_outside_are_checked_at_the_edge(vq_folder: str) -> None:
    space = DiffusersVQ(vq_folder, "codes").space
    codes = torch.zeros(2, 64, dtype=torch.int64)
    check_latents(space, codes)
    codes[1, 5] = 20
    with pytest.raises(InvalidInput, match="codes 0 to 19, got 20 in row 1, coordinate 5"):
        check_latents(space, codes)
    with pytest.raises(ShapeMismatch, match="int64 codes"):
        check_latents(space, codes.float())


def test_codes_out_of_range_are_not_wrapped_around(vq_folder: str) -> None:
    codes = torch.zeros(1, 64, dtype=torch.int64)
    for code in (-1, 20):
        with pytest.raises(IndexError):
            DiffusersVQ(vq_folder, "codes").render(codes + code)


def test_latents_have_the_channels_of_the_codebook(tmp_path: Path) -> None:
    from diffusers import VQModel

    torch.manual_seed(0)
    VQModel(
        block_out_channels=(4,), latent_channels=3, vq_embed_dim=5, num_vq_embeddings=7,
        norm_num_groups=2, sample_size=4,
    ).save_pretrained(tmp_path)  # fmt: skip
    generator = DiffusersVQ(str(tmp_path))
    assert generator.space.spec.image_shape == (5, 4, 4)
    latents = torch.randn(2, 80)
    model = _model(str(tmp_path))
    book = model.quantize.embedding.weight.detach()
    mean, std = (part[:, None, None] for part in (book.mean(0), book.std(0)))
    with torch.no_grad():
        pictures = model.decode(latents.reshape(2, 5, 4, 4) * std + mean).sample
    torch.testing.assert_close(generator.render(latents), (pictures / 2 + 0.5).clamp(0, 1))


def test_bad_configurations(vq_folder: str, vae_folder: str, with_config) -> None:
    with pytest.raises(
        InvalidSpec, match="expected a model of class VQModel, found 'AutoencoderKL'"
    ):
        _ = DiffusersVQ(vae_folder).space
    with pytest.raises(InvalidSpec, match="says nothing of num_vq_embeddings"):
        _ = DiffusersVQ(with_config(vq_folder, num_vq_embeddings=None)).space


def test_unknown_latents_are_refused() -> None:
    with pytest.raises(InvalidSpec, match="latent"):
        plugins.generators.build("diffusers_vq", {"latent": "both"})
    with pytest.raises(InvalidSpec, match="'continuous' or 'codes'"):
        DiffusersVQ(latent="both")


def test_only_continuous_latents_have_gradients() -> None:
    assert DiffusersVQ().differentiable
    assert not DiffusersVQ(latent="codes").differentiable
