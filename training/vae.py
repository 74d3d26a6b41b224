"""Training of the continuous generator: diffusers' AutoencoderKL with an 8 x 4 x 4 latent."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from blackbox_am.errors import NotFound
from training.data import TEST_FILE, TRAIN_FILE, read_images, shift_and_flip
from training.files import (
    epochs_before,
    read_weights,
    rounded,
    write_json,
    write_model,
)
from training.loop import (
    SEED,
    Average,
    Budget,
    Job,
    Report,
    batches,
    half_precision,
    set_rate,
)
from training.losses import (
    Critic,
    covariance_gap,
    critic_loss,
    decibels,
    disturb,
    divergence,
    feature_distance,
    pixel_distance,
    statistics_distance,
)
from training.teacher import Teacher, load_teacher

BATCH = 32
PRIOR_BATCH = 16
WIDTHS = (24, 48, 96, 64)
LATENT = (8, 4, 4)
FEATURES = 0.15
KL = 0.04
COVARIANCE = 0.005
SPREAD = 0.03
NATURAL = 0.01
NATURAL_FROM = 0.35
PEAK_RATE = 1e-3
RESUMED_RATE = 5e-4


def build_vae() -> Any:
    """A new AutoencoderKL for ``(B, 3, 32, 32)`` in [-1, 1], latents ``(B, 8, 4, 4)``."""
    from diffusers import AutoencoderKL

    build: Any = AutoencoderKL
    return build(
        down_block_types=("DownEncoderBlock2D",) * len(WIDTHS),
        up_block_types=("UpDecoderBlock2D",) * len(WIDTHS),
        block_out_channels=WIDTHS,
        layers_per_block=1,
        latent_channels=LATENT[0],
        norm_num_groups=8,
        sample_size=32,
        scaling_factor=1.0,
    )


@torch.no_grad()
def measure(vae: Any, train: Tensor, test: Tensor) -> dict[str, object]:
    """Reconstruction and latent statistics.

    Args:
        vae: The model, in eval mode.
        train: Images ``(N, 3, 32, 32)`` in [0, 1] for the latent statistics.
        test: Images for the reconstruction errors; the posterior's mean is decoded.

    Returns:
        ``l1``, ``psnr``, ``kl_nats`` and per-channel ``latent_mean`` and ``latent_std`` of
        posterior samples.
    """
    absolute, square, nats, seen = 0.0, 0.0, 0.0, 0
    for x in torch.split(test, 250):
        posterior = vae.encode(x * 2 - 1).latent_dist
        picture = (vae.decode(posterior.mode()).sample / 2 + 0.5).clamp(0, 1)
        absolute += float((picture - x).abs().mean()) * len(x)
        square += float((picture - x).pow(2).mean()) * len(x)
        nats += float(divergence(posterior.mean, posterior.logvar)) * len(x)
        seen += len(x)
    latents = torch.cat(
        [vae.encode(x * 2 - 1).latent_dist.sample() for x in torch.split(train, 250)]
    )
    return {
        "kl_nats": round(nats / seen, 2),
        "l1_test_1000": round(absolute / seen, 5),
        "latent_mean": rounded(latents.mean((0, 2, 3))),
        "latent_std": rounded(latents.std((0, 2, 3))),
        "psnr_test_1000": round(decibels(square / seen), 3),
    }


@torch.no_grad()
def standardise(vae: Any, mean: Tensor, std: Tensor) -> None:
    """Fold the latents' per-channel mean and deviation into the two 1x1 latent convolutions.

    Afterwards the latents of images have mean 0 and deviation 1 in every channel. The
    configuration's ``scaling_factor`` is then exactly 1, and N(0, I) needs no conversion.
    """
    into, out, channels = vae.quant_conv, vae.post_quant_conv, len(mean)
    into.bias[:channels] = (into.bias[:channels] - mean) / std
    into.weight[:channels] /= std[:, None, None, None]
    into.bias[channels:] -= 2.0 * std.log()
    out.bias += (out.weight[:, :, 0, 0] * mean).sum(1)
    out.weight *= std[None, :, None, None]


class _Trainer:
    """The model and the critic with their optimisers; performs one step of each."""

    def __init__(self, vae: Any, teacher: Teacher, device: torch.device) -> None:
        self.vae, self.teacher, self.device = vae, teacher, device
        self.critic = Critic().to(device)
        self.optimizer = torch.optim.AdamW(
            vae.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=1e-4, fused=True
        )
        self.judge = torch.optim.AdamW(
            self.critic.parameters(), lr=4e-4, betas=(0.5, 0.98), fused=True
        )

    def step(self, x: Tensor, rate: float, natural: float) -> dict[str, float]:
        """Update on images in [0, 1]; ``natural`` (0 to 1) is the weight of the critic's loss."""
        count = len(x)
        with half_precision(self.device):
            with torch.no_grad():
                real = self.teacher.features(x)
            posterior = self.vae.encode(x * 2 - 1).latent_dist
        mean, logvar = posterior.mean.float(), posterior.logvar.float()
        latents = mean + (0.5 * logvar).exp() * torch.randn_like(mean)
        if natural:
            prior = torch.randn(PRIOR_BATCH, *LATENT, device=self.device)
            decoded = torch.cat([latents, prior])
        else:
            decoded = latents
        with half_precision(self.device):
            pictures = self.vae.decode(decoded).sample.float()
            fake = self.teacher.features(pictures / 2 + 0.5)
        pixels = pixel_distance(x, pictures[:count] / 2 + 0.5)
        features = feature_distance(real, [f[:count] for f in fake])
        nats = divergence(mean, logvar)
        # Pixels outside [-1, 1] are clipped later, where their gradient vanishes; this penalty
        # keeps a gradient.
        wall = functional.relu(pictures.abs() - 1.0).mean()
        loss = pixels + FEATURES * features + KL * nats / x[0].numel() + wall
        loss = loss + COVARIANCE * covariance_gap(latents)
        if natural:
            spread = statistics_distance(x, pictures[count:] / 2 + 0.5)
            self.critic.requires_grad_(False)
            with half_precision(self.device):
                scores = self.critic(disturb(pictures)).float()
            self.critic.requires_grad_(True)
            loss = loss + natural * (SPREAD * spread - NATURAL * scores.mean())
        set_rate(self.optimizer, rate)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.vae.parameters(), 1.0)
        self.optimizer.step()
        doubt = self._judge(x, pictures.detach()) if natural else 0.0
        return {"pixels": float(pixels.detach()), "feat": float(features.detach()),
                "kl": float(nats.detach()), "doubt": doubt}  # fmt: skip

    def _judge(self, x: Tensor, pictures: Tensor) -> float:
        with half_precision(self.device):
            scores = self.critic(disturb(torch.cat([x * 2 - 1, pictures])))
        loss = critic_loss(scores[: len(x)], scores[len(x) :])
        self.judge.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.judge.step()
        return float(loss.detach())


def train_vae(job: Job) -> None:
    """Train the generator; writes the folder ``cifar_vae`` and ``cifar_vae.json``.

    Raises:
        NotFound: No teacher is given; the feature losses need it.
    """
    if job.teacher is None:
        raise NotFound("Training the vae needs --teacher FILE for its feature loss.")
    torch.manual_seed(SEED)
    train = read_images(job.data / TRAIN_FILE).to(job.device)
    test = read_images(job.data / TEST_FILE).to(job.device)
    vae = build_vae().to(job.device)
    folder = job.out / "cifar_vae"
    weights = folder / "diffusion_pytorch_model.safetensors"
    if job.resume and (found := read_weights(weights, vae.state_dict())) is not None:
        vae.load_state_dict(found)
    trainer = _Trainer(vae, load_teacher(job.teacher, job.device), job.device)
    some = train.x[:: max(1, len(train.x) // 2000)]  # the file may be sorted by class
    average = Average(vae, 0.998)
    budget = Budget(job.minutes, job.epochs * max(1, len(train.x) // BATCH))
    peak = RESUMED_RATE if job.resume else PEAK_RATE
    # A resumed run trains without the critic: after a long training with the critic, pictures of
    # random latents have artificial outlines.
    start = math.inf if job.resume else NATURAL_FROM
    epoch, before = 0, epochs_before(job.out / "cifar_vae.json", job.resume)
    with Report("cifar_vae") as report:
        while budget.done < 1.0 and epoch < job.epochs:
            sums: dict[str, float] = {}
            for count, index in enumerate(batches(len(train.x), BATCH, job.device), 1):
                natural = min(1.0, max(0.0, (budget.done - start) / 0.1))
                parts = trainer.step(shift_and_flip(train.x[index], 2), budget.rate(peak), natural)
                average.update(vae)
                budget.step += 1
                sums = {name: sums.get(name, 0.0) + value for name, value in parts.items()}
                state = " ".join(f"{name} {value / count:.4g}" for name, value in sums.items())
                report.show(budget.done, state)
                if budget.done >= 1.0:
                    break
            epoch += 1
            report.line(f"epoch {epoch}: {state}")
            _write(vae, average, job, some, test.x, before + epoch)


def _write(vae: Any, average: Average, job: Job, train: Tensor, test: Tensor, epoch: int) -> None:
    kept = copy.deepcopy(vae).eval()
    kept.load_state_dict(average.state)
    before = measure(kept, train, test[:1])
    device = next(kept.parameters()).device
    standardise(
        kept,
        torch.tensor(before["latent_mean"], device=device),
        torch.tensor(before["latent_std"], device=device),
    )
    write_model(job.out / "cifar_vae", kept)
    facts = measure(kept, train, test)
    facts |= {
        "epochs": epoch,
        "latent_shape": list(LATENT),
        "parameters": sum(p.numel() for p in kept.parameters()),
        "scaling_factor": 1.0,
    }
    write_json(job.out / "cifar_vae.json", facts)
