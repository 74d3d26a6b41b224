"""Latents across the wire: rendered as in Python, or refused in a sentence."""

import numpy as np
import pytest
import torch
from torch import nn

from blackbox_am.catalogue import Catalogue
from blackbox_am.client import connect
from blackbox_am.errors import InvalidInput, NotFound, OutOfMemory, ShapeMismatch
from blackbox_am.generators.diffusers.diffusers_unconditional import DiffusersUnconditional
from blackbox_am.generators.networks.vq_module import VQModule
from blackbox_am.service import Config, running


def codes():
    torch.manual_seed(0)
    decoder = nn.Sequential(nn.ConvTranspose2d(5, 3, 2, stride=2), nn.Tanh())
    return VQModule(decoder, torch.randn(12, 5), (2, 3), (3, 4, 6))


class NoRoom(nn.Module):
    """A decoder for which nothing fits into memory."""

    def forward(self, vectors):
        raise torch.OutOfMemoryError(f"no room for {len(vectors)}")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel

    torch.manual_seed(0)
    unet = UNet2DModel(
        sample_size=8,
        block_out_channels=(4,),
        down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",),
        layers_per_block=1,
        norm_num_groups=2,
        attention_head_dim=2,
    )
    folder = tmp_path_factory.mktemp("pipeline")
    DDIMPipeline(unet.eval(), DDIMScheduler()).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def rendering(pipeline):
    """A client of a server with codes, a diffusion model, one whose weights went, and no room."""
    kind = "diffusers_unconditional"
    catalogue = Catalogue.from_plain(
        {
            "generators": {
                "noise": {"kind": kind, "weights": pipeline, "steps": 2},
                "gone": {"kind": kind, "weights": f"{pipeline}/unet"},
            }
        }
    )
    catalogue.add_generator("codes", codes())
    catalogue.add_generator("no_room", VQModule(NoRoom(), torch.zeros(12, 5), (2, 3)))
    catalogue.generator("noise").to("cpu")  # loading takes longer than a call may
    config = Config(address="localhost:0", store=":memory:", device="cpu", catalogue=catalogue)
    with running(config) as address, connect(address) as client:
        yield client


def test_stimuli_are_those_of_the_generator(rendering, pipeline):
    latents = np.random.default_rng(0).normal(size=(3, 192)).astype(np.float32)
    expected = DiffusersUnconditional(pipeline, steps=2).render(torch.from_numpy(latents))
    rendered = rendering.render("noise", latents, dtype="float32")
    np.testing.assert_allclose(rendered, expected, atol=1e-5)
    chosen = np.arange(12).reshape(2, 6)
    expected = codes().render(torch.from_numpy(chosen))
    np.testing.assert_allclose(
        rendering.render("codes", chosen, dtype="float32"), expected, atol=1e-5
    )


@pytest.mark.parametrize(
    ("generator", "latents", "error", "says"),
    [
        ("noise", np.full((1, 192), np.nan), InvalidInput, "finite numbers, got nan in row 0"),
        ("noise", np.full((1, 192), np.inf), InvalidInput, "finite numbers, got inf"),
        ("noise", np.zeros((1, 191)), ShapeMismatch, r"shape \(N, 192\), got \(1, 191\)"),
        ("noise", np.zeros(192), ShapeMismatch, r"shape \(N, 192\), got \(192,\)"),
        ("noise", np.zeros((1, 192), np.int64), ShapeMismatch, "floating-point numbers"),
        ("codes", np.full((1, 6), 12), InvalidInput, "codes 0 to 11, got 12 in row 0"),
        ("codes", np.full((1, 6), -1), InvalidInput, "codes 0 to 11, got -1"),
        ("codes", np.zeros((1, 6)), ShapeMismatch, "int64 codes"),
        ("codes", np.zeros((1, 5), np.int64), ShapeMismatch, r"shape \(N, 6\)"),
        ("gone", np.zeros((1, 192)), NotFound, r"model_index\.json"),
        ("no_room", np.zeros((4, 6), np.int64), OutOfMemory, "one stimulus does not fit"),
    ],
)
def test_what_cannot_be_rendered_is_refused(rendering, generator, latents, error, says):
    with pytest.raises(error, match=says):
        rendering.render(generator, latents)
    assert rendering.render("codes", np.zeros((1, 6), np.int64)).shape == (1, 3, 4, 6)
