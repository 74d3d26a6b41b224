"""Small untrained autoencoders in diffusers' layout, made once."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from blackbox_am.zoo.architecture import Architecture
from blackbox_am.zoo.gans import GanArchitecture
from blackbox_am.zoo.series import SeriesArchitecture


def _write(model: torch.nn.Module, folder: Path) -> str:
    model.eval().save_pretrained(folder)
    return str(folder)


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
        for path in Path(folder).iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        config = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps(config | values))
        return str(tmp_path)

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
