"""Training a small latent diffusion model: diffusers' UNet2DModel on the codes of `cifar_vq`.

Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", CVPR 2022. The
diffusion works on the latents of an autoencoder before quantisation, here 4 x 8 x 8 values, and
the decoder turns the sampled latents into pictures. The latents have 12 times fewer values than
the pixels, so that one processor core can train the model. After twelve minutes the model
generates pictures; a diffusion model of the pixels generated coloured noise after five.

The net predicts v (Salimans, Ho, "Progressive Distillation for Fast Sampling of Diffusion
Models", ICLR 2022) over a schedule whose last step is pure noise, and the sampler's steps are
counted from the last step (Lin et al., "Common Diffusion Noise Schedules and Sample Steps are
Flawed", WACV 2024). The sampler is UniPC of order 2 (Zhao et al., "UniPC: A Unified
Predictor-Corrector Framework for Fast Sampling of Diffusion Models", NeurIPS 2023). UniPC is
deterministic like DDIM. Its pictures after 8 steps are as close to natural pictures as those of
DDIM after 50 steps; the model's card states the numbers.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from blackbox_am.zoo import catalogue
from blackbox_am.zoo.loading import load_autoencoder
from training.data import TRAIN_FILE, read_images
from training.files import write_json, write_pipeline
from training.longrun import LongRun
from training.loop import (
    SEED,
    Average,
    Job,
    channels_last,
    descend,
    half_precision,
)

NAME = "cifar_ldm"
AUTOENCODER = "cifar_vq"
BATCH = 64
WIDTHS = (96, 128)
RATE = 5e-4
AVERAGE = 0.9995
ENCODED_AT_ONCE = 250


def build_unet() -> Any:
    """A new UNet2DModel for latents ``(B, 4, 8, 8)``, with self-attention at both sizes."""
    from diffusers import UNet2DModel

    channels, side, _ = catalogue.entry(AUTOENCODER).latent_shape
    build: Any = UNet2DModel
    return build(
        sample_size=side,
        in_channels=channels,
        out_channels=channels,
        block_out_channels=WIDTHS,
        layers_per_block=1,
        down_block_types=("AttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "AttnUpBlock2D"),
        norm_num_groups=16,
        attention_head_dim=32,
    )


def build_schedule() -> Any:
    """The DDIMScheduler of the training: 1,000 steps, v prediction, zero terminal SNR."""
    from diffusers import DDIMScheduler

    build: Any = DDIMScheduler
    return build(
        num_train_timesteps=1000,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
    )


def build_sampler(schedule: Any) -> Any:
    """The scheduler that samples from the net, with the noise levels of `schedule`."""
    from diffusers import UniPCMultistepScheduler

    build: Any = UniPCMultistepScheduler
    return build.from_config(schedule.config)


@torch.no_grad()
def encode(autoencoder: Any, pictures: Tensor) -> Tensor:
    """Latents ``(2 N, 4, 8, 8)`` before quantisation of pictures ``(N, 3, 32, 32)`` in [0, 1].

    The first N rows are the latents of the pictures, the others those of the mirrored pictures.
    """
    both = torch.cat([pictures, pictures.flip(-1)])
    parts = torch.split(both, ENCODED_AT_ONCE)
    return torch.cat([autoencoder.encode(part * 2 - 1).latents for part in parts])


class _Trainer:
    """The net with its optimiser and its weight average; performs one training step."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.unet = channels_last(build_unet().to(device))
        self.schedule = build_schedule()
        self.average = Average(self.unet, AVERAGE)
        self.optimizer = torch.optim.AdamW(
            self.unet.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=1e-4, fused=True
        )

    def step(self, x: Tensor, rate: float) -> dict[str, float]:
        """Update the net on scaled latents: the mean squared error of v at random times."""
        times = torch.randint(0, len(self.schedule.alphas_cumprod), (len(x),), device=self.device)
        noise = torch.randn_like(x)
        noisy = self.schedule.add_noise(x, noise, times)
        wanted = self.schedule.get_velocity(x, noise, times)
        with half_precision(self.device):
            said = self.unet(noisy.contiguous(memory_format=torch.channels_last), times).sample
        loss = functional.mse_loss(said.float(), wanted)
        descend(self.optimizer, loss, rate, 1.0)
        self.average.update(self.unet)
        return {"loss": float(loss.detach())}


def train_ldm(job: Job) -> None:
    """Train the model; writes the folder ``cifar_ldm`` and ``cifar_ldm.json``.

    The folder has the layout of LDMPipeline's ``save_pretrained`` and contains the autoencoder.
    The training also writes ``cifar_ldm.checkpoint.safetensors`` every few minutes;
    ``--resume`` continues from this file.
    """
    torch.manual_seed(SEED)
    autoencoder = load_autoencoder(AUTOENCODER).to(job.device)
    latents = encode(autoencoder, read_images(job.data / TRAIN_FILE).to(job.device).x)
    # The added noise has standard deviation 1; the latents must have the same.
    scale = round(1.0 / float(latents.std()), 5)
    autoencoder.register_to_config(scaling_factor=scale)
    trainer = _Trainer(job.device)
    run = LongRun(
        NAME,
        job,
        nets={"unet": trainer.unet},
        optimizers={"unet": trainer.optimizer},
        averages={"unet": trainer.average},
    )

    def step(index: Tensor, run: LongRun) -> dict[str, float]:
        return trainer.step(latents[index] * scale, run.budget.rate(RATE, 0.02))

    run.train(len(latents), BATCH, step, lambda steps: _write(trainer, autoencoder, job, steps))


def _write(trainer: _Trainer, autoencoder: Any, job: Job, steps: int) -> None:
    kept = copy.deepcopy(trainer.unet).to(memory_format=torch.contiguous_format)
    kept.load_state_dict(trainer.average.state)
    sampler = build_sampler(trainer.schedule)
    write_pipeline(job.out / NAME, autoencoder, kept.eval(), sampler)
    facts = {
        "batch": BATCH,
        "parameters": sum(p.numel() for part in (kept, autoencoder) for p in part.parameters()),
        "scaling_factor": autoencoder.config.scaling_factor,
        "steps": steps,
    }
    write_json(job.out / f"{NAME}.json", facts)
