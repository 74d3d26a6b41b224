"""Training a small unconditional diffusion model: diffusers' UNet2DModel, sampled in a few steps.

Ho, Jain, Abbeel, "Denoising Diffusion Probabilistic Models", NeurIPS 2020, sampled by DDIM (Song,
Meng, Ermon, ICLR 2021). The net predicts v (Salimans, Ho, "Progressive Distillation for Fast
Sampling of Diffusion Models", ICLR 2022) over a schedule whose last step is pure noise, and the
sampler's steps are counted from that end (Lin et al., "Common Diffusion Noise Schedules and Sample
Steps are Flawed", WACV 2024): with few steps, both matter more than the size of the net.

No weights of it ship. Such a net needs tens of thousands of steps; the few hundred that a shared
processor made in half an hour gave clouds of coloured noise. Train it where there is a GPU.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from blackbox_am.zoo.training.data import TRAIN_FILE, read_images, shift_and_flip
from blackbox_am.zoo.training.files import write_json, write_pipeline
from blackbox_am.zoo.training.longrun import LongRun
from blackbox_am.zoo.training.loop import (
    SEED,
    Average,
    Job,
    channels_last,
    descend,
    half_precision,
)

NAME = "cifar_ddim"
BATCH = 32
WIDTHS = (32, 64, 96)
RATE = 8e-4
AVERAGE = 0.999
STEPS = 8


def build_unet() -> Any:
    """A new UNet2DModel for ``(B, 3, 32, 32)`` in [-1, 1], self-attention at 8x8 pixels."""
    from diffusers import UNet2DModel

    build: Any = UNet2DModel
    return build(
        sample_size=32,
        in_channels=3,
        out_channels=3,
        block_out_channels=WIDTHS,
        layers_per_block=1,
        down_block_types=("DownBlock2D",) * len(WIDTHS),
        up_block_types=("UpBlock2D",) * len(WIDTHS),
        norm_num_groups=8,
        attention_head_dim=32,
    )


def build_scheduler() -> Any:
    """The DDIMScheduler the net is trained for and sampled with: 1,000 times, v, zero end SNR."""
    from diffusers import DDIMScheduler

    build: Any = DDIMScheduler
    return build(
        num_train_timesteps=1000,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=True,
    )


class _Trainer:
    """The net, its optimiser and average, and one step."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.unet = channels_last(build_unet().to(device))
        self.scheduler = build_scheduler()
        self.average = Average(self.unet, AVERAGE)
        self.optimizer = torch.optim.AdamW(
            self.unet.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=1e-4, fused=True
        )

    def step(self, x: Tensor, rate: float) -> dict[str, float]:
        """One update for pictures in [-1, 1]: the mean squared error of v at random times."""
        times = torch.randint(0, len(self.scheduler.alphas_cumprod), (len(x),), device=self.device)
        noise = torch.randn_like(x)
        noisy = self.scheduler.add_noise(x, noise, times)
        wanted = self.scheduler.get_velocity(x, noise, times)
        with half_precision(self.device):
            said = self.unet(noisy.contiguous(memory_format=torch.channels_last), times).sample
        loss = functional.mse_loss(said.float(), wanted)
        descend(self.optimizer, loss, rate, 1.0)
        self.average.update(self.unet)
        return {"loss": float(loss.detach())}


def train_ddim(job: Job) -> None:
    """Train the model; writes the folder ``cifar_ddim`` and ``cifar_ddim.json``.

    The folder is in the layout of DDIMPipeline's ``save_pretrained``. Every few minutes also
    ``cifar_ddim.checkpoint.safetensors``, from which ``--resume`` goes on.
    """
    torch.manual_seed(SEED)
    pictures = read_images(job.data / TRAIN_FILE).to(job.device).x * 2 - 1
    trainer = _Trainer(job.device)
    run = LongRun(
        NAME,
        job,
        nets={"unet": trainer.unet},
        optimizers={"unet": trainer.optimizer},
        averages={"unet": trainer.average},
    )

    def step(index: Tensor, run: LongRun) -> dict[str, float]:
        return trainer.step(shift_and_flip(pictures[index], 0), run.budget.rate(RATE, 0.02))

    run.train(len(pictures), BATCH, step, lambda steps: _write(trainer, job, steps))


def _write(trainer: _Trainer, job: Job, steps: int) -> None:
    kept = copy.deepcopy(trainer.unet).to(memory_format=torch.contiguous_format)
    kept.load_state_dict(trainer.average.state)
    write_pipeline(job.out / NAME, kept.eval(), trainer.scheduler)
    facts = {
        "batch": BATCH,
        "parameters": sum(p.numel() for p in kept.parameters()),
        "sampler_steps": STEPS,
        "steps": steps,
    }
    write_json(job.out / f"{NAME}.json", facts)
