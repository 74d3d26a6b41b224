"""Small untrained models in diffusers' layout, made once."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from blackbox_am.core.generator import Generator
from blackbox_am.zoo.architecture import Architecture
from blackbox_am.zoo.gans import GanArchitecture
from blackbox_am.zoo.series import SeriesArchitecture


def _write(model: torch.nn.Module, folder: Path) -> str:
    model.eval().save_pretrained(folder)
    return str(folder)


@pytest.fixture(autouse=True)
def user_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes into the user's own cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def vae_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An AutoencoderKL of 16x16 pictures with latents (2, 4, 4) and a scaling factor of 0.5."""
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    model = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(4, 4, 8),
        layers_per_block=1,
        latent_channels=2,
        norm_num_groups=2,
        sample_size=16,
        scaling_factor=0.5,
    )
    return _write(model, tmp_path_factory.mktemp("vae"))


@pytest.fixture(scope="session")
def vq_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A VQModel of 16x16 pictures with a grid of 8x8 codes out of 20."""
    from diffusers import VQModel

    torch.manual_seed(0)
    model = VQModel(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(4, 8),
        layers_per_block=1,
        latent_channels=3,
        num_vq_embeddings=20,
        norm_num_groups=2,
        sample_size=16,
    )
    torch.nn.init.normal_(model.quantize.embedding.weight)
    return _write(model, tmp_path_factory.mktemp("vq"))


@pytest.fixture
def with_config(tmp_path: Path):
    """A copy of a model's folder with some values of config.json changed."""

    def change(folder: str, **values: object) -> str:
        return str(rewritten(folder, tmp_path, "config.json", values))

    return change


def _write_net(architecture: Architecture, path: Path) -> str:
    torch.manual_seed(0)
    net = architecture.build()
    kept = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    save_file(kept, path)
    path.with_suffix(".json").write_text(json.dumps({"architecture": architecture.plain()}))
    return str(path)


@pytest.fixture
def gan_weights(tmp_path: Path) -> str:
    """A residual generator of 8x8 pictures from 5 latent values."""
    return _write_net(GanArchitecture(5, "sngan", (8, 4)), tmp_path / "gan.safetensors")


@pytest.fixture
def dcgan_weights(tmp_path: Path) -> str:
    """A DCGAN of grey 16x16 pictures from 7 latent values."""
    return _write_net(GanArchitecture(7, "dcgan", (8, 6, 4), 1), tmp_path / "dcgan.safetensors")


@pytest.fixture
def series_weights(tmp_path: Path) -> str:
    """A decoder of series of length 16 from 2 latent values."""
    return _write_net(SeriesArchitecture(2, (6, 4)), tmp_path / "series.safetensors")


@pytest.fixture
def with_file(tmp_path: Path):
    """A copy of a pipeline's folder with some values of one of its files changed."""

    def change(folder: str, file: str, **values: object) -> str:
        return str(rewritten(folder, tmp_path / "changed", file, values))

    return change


def rewritten(folder: str, copy: Path, file: str, values: dict[str, object]) -> Path:
    """The copy, in which `file` holds `values`; those that are None are left out."""
    shutil.copytree(folder, copy, dirs_exist_ok=True)
    changed = json.loads((copy / file).read_text()) | values
    kept = {key: value for key, value in changed.items() if value is not None}
    (copy / file).write_text(json.dumps(kept))
    return copy


def _unet(**changes: object):
    from diffusers import UNet2DModel

    torch.manual_seed(0)
    return UNet2DModel(
        **{
            "sample_size": 8,
            "block_out_channels": (8, 8),
            "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
            "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
            "layers_per_block": 1,
            "norm_num_groups": 4,
            "attention_head_dim": 4,
            **changes,
        }
    ).eval()


@pytest.fixture(scope="session")
def ddpm_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A DDPMPipeline of 8x8 pictures, of the larger variance."""
    from diffusers import DDPMPipeline, DDPMScheduler

    folder = tmp_path_factory.mktemp("ddpm")
    DDPMPipeline(_unet(), DDPMScheduler(variance_type="fixed_large")).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def ldm_folder(vq_folder: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An LDMPipeline that denoises 3 x 8 x 8 latents, decoded to pictures of 16 x 16."""
    from diffusers import DDIMScheduler, LDMPipeline, VQModel

    vqvae = VQModel.from_pretrained(vq_folder)
    vqvae.register_to_config(scaling_factor=2.0)
    folder = tmp_path_factory.mktemp("ldm")
    scheduler = DDIMScheduler(clip_sample=False)
    LDMPipeline(vqvae, _unet(), scheduler).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def consistency_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A ConsistencyModelPipeline of 8x8 pictures in three classes."""
    from diffusers import CMStochasticIterativeScheduler, ConsistencyModelPipeline

    folder = tmp_path_factory.mktemp("consistency")
    unet = _unet(num_class_embeds=3, class_embed_type=None)
    ConsistencyModelPipeline(unet, CMStochasticIterativeScheduler()).save_pretrained(folder)
    return str(folder)


WORDS = ("a", "red", "green", "cat", "dog", "on", "the", "moon", "of", "cheese", "blue", "tree")


def _tokenizer(folder: Path):
    """CLIP's tokenizer, of twelve words in letters and in one piece."""
    from transformers import CLIPTokenizer

    merges, pieces = [], set()
    for word in WORDS:
        parts = [*word[:-1], word[-1] + "</w>"]
        pieces.update(parts, (part.removesuffix("</w>") for part in parts))
        while len(parts) > 1:
            merges.append(f"{parts[0]} {parts[1]}")
            parts[:2] = [parts[0] + parts[1]]
            pieces.add(parts[0])
    tokens = [*sorted(pieces), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir()
    vocabulary = {token: i for i, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *dict.fromkeys(merges)]))
    return CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=12
    )


@pytest.fixture(scope="session")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A StableDiffusionPipeline of 16x16 pictures from noise (4, 8, 8)."""
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel

    folder = tmp_path_factory.mktemp("text")
    tokenizer = _tokenizer(tmp_path_factory.mktemp("vocabulary") / "clip")
    torch.manual_seed(0)
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=12,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 8),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        norm_num_groups=4,
        attention_head_dim=2,
        cross_attention_dim=16,
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(4, 8),
        norm_num_groups=2,
        sample_size=16,
    )
    scheduler = DDIMScheduler(
        beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False, steps_offset=1
    )
    StableDiffusionPipeline(
        vae=vae.eval(),
        text_encoder=CLIPTextModel(text).eval(),
        tokenizer=tokenizer,
        unet=unet.eval(),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def slopes_of():
    """The slope of the mean square of a stimulus along a direction: by the gradient, and by
    differences.
    """

    def slopes(
        generator: Generator, latents: torch.Tensor, direction: torch.Tensor
    ) -> tuple[float, float]:
        leaf = latents.clone().requires_grad_()
        (slope,) = torch.autograd.grad(generator.render(leaf).square().mean(), leaf)

        def value(step: float) -> float:
            return float(generator.render(latents + step * direction).double().square().mean())

        return float((slope * direction).sum()), (value(1e-2) - value(-1e-2)) / 2e-2

    return slopes
