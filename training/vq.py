"""Training of the discrete generator: diffusers' VQModel with 8 x 8 codes out of 512."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

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
    critic_loss,
    decibels,
    disturb,
    feature_distance,
    pixel_distance,
)
from training.teacher import Teacher, load_teacher

BATCH = 32
WIDTHS = (32, 64, 64)
LATENT = (4, 8, 8)
CODES = 512
FEATURES = 0.15
COMMITMENT = 0.5
NATURAL = 0.005
NATURAL_FROM = 0.3
PEAK_RATE = 1e-3
REVIVE_EVERY = 40


def build_vq() -> Any:
    """A new VQModel for ``(B, 3, 32, 32)`` in [-1, 1], latents ``(B, 4, 8, 8)``, 512 codes."""
    from diffusers import VQModel

    build: Any = VQModel
    return build(
        down_block_types=("DownEncoderBlock2D",) * len(WIDTHS),
        up_block_types=("UpDecoderBlock2D",) * len(WIDTHS),
        block_out_channels=WIDTHS,
        layers_per_block=1,
        latent_channels=LATENT[0],
        num_vq_embeddings=CODES,
        norm_num_groups=8,
        sample_size=32,
        scaling_factor=1.0,
    )


@torch.no_grad()
def measure(vq: Any, train: Tensor, test: Tensor) -> dict[str, object]:
    """Reconstruction, codebook use and latent statistics.

    Args:
        vq: The model, in eval mode.
        train: Images ``(N, 3, 32, 32)`` in [0, 1] for the latent statistics.
        test: Images for errors and code use.

    Returns:
        ``l1``, ``psnr``, ``perplexity`` of the codes over the test images, ``codes_used``, and
        per-channel ``latent_mean`` and ``latent_std`` of latents before quantisation.
    """
    absolute, square, seen = 0.0, 0.0, 0
    counts = torch.zeros(CODES, device=test.device)
    for x in torch.split(test, 250):
        latents = vq.encode(x * 2 - 1).latents
        chosen, _, (_, _, index) = vq.quantize(latents)
        picture = (vq.decoder(vq.post_quant_conv(chosen)) / 2 + 0.5).clamp(0, 1)
        absolute += float((picture - x).abs().mean()) * len(x)
        square += float((picture - x).pow(2).mean()) * len(x)
        counts += torch.bincount(index.flatten(), minlength=CODES).float()
        seen += len(x)
    share = counts / counts.sum()
    latents = torch.cat([vq.encode(x * 2 - 1).latents for x in torch.split(train, 250)])
    return {
        "codes_used": int((counts > 0).sum()),
        "l1_test_1000": round(absolute / seen, 5),
        "latent_mean": rounded(latents.mean((0, 2, 3))),
        "latent_std": rounded(latents.std((0, 2, 3))),
        "perplexity": round(float((-(share * (share + 1e-12).log()).sum()).exp()), 1),
        "psnr_test_1000": round(decibels(square / seen), 3),
    }


class _Trainer:
    """The model and the critic with their optimisers, and how often each code is used."""

    def __init__(self, vq: Any, teacher: Teacher, device: torch.device) -> None:
        self.vq, self.teacher, self.device = vq, teacher, device
        self.use = torch.ones(CODES, device=device)
        self.critic = Critic().to(device)
        self.optimizer = torch.optim.AdamW(
            vq.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.0, fused=True
        )
        self.judge = torch.optim.AdamW(
            self.critic.parameters(), lr=4e-4, betas=(0.5, 0.98), fused=True
        )

    @torch.no_grad()
    def seed_codes(self, x: Tensor) -> None:
        """Initialise the codebook with latents of real images ``(B, 3, 32, 32)`` in [0, 1]."""
        latents = self.vq.encode(x * 2 - 1).latents.permute(0, 2, 3, 1).reshape(-1, LATENT[0])
        chosen = torch.randint(0, len(latents), (CODES,), device=self.device)
        self.vq.quantize.embedding.weight.copy_(latents[chosen])

    @torch.no_grad()
    def revive(self, latents: Tensor) -> None:
        """Replace rarely used codes by latents of the current batch."""
        flat = latents.detach().permute(0, 2, 3, 1).reshape(-1, LATENT[0])
        dead = (self.use < 0.1 * self.use.mean()).nonzero().flatten()
        if not len(dead):
            return
        chosen = torch.randint(0, len(flat), (len(dead),), device=self.device)
        weight = self.vq.quantize.embedding.weight
        weight[dead] = flat[chosen]
        for moment in self.optimizer.state.get(weight, {}).values():
            if isinstance(moment, Tensor) and moment.shape == weight.shape:
                moment[dead] = 0.0
        self.use[dead] = self.use.mean()

    def step(self, x: Tensor, rate: float, natural: float, revive: bool) -> dict[str, float]:
        """Update on images in [0, 1]; ``natural`` (0 to 1) is the weight of the critic's loss."""
        with half_precision(self.device):
            with torch.no_grad():
                real = self.teacher.features(x)
            latents = self.vq.encode(x * 2 - 1).latents
        latents = latents.float()
        chosen, commitment, (_, _, index) = self.vq.quantize(latents)
        with half_precision(self.device):
            pictures = self.vq.decoder(self.vq.post_quant_conv(chosen)).float()
            fake = self.teacher.features(pictures / 2 + 0.5)
        pixels = pixel_distance(x, pictures / 2 + 0.5)
        features = feature_distance(real, fake)
        loss = pixels + FEATURES * features + COMMITMENT * commitment
        if natural:
            self.critic.requires_grad_(False)
            with half_precision(self.device):
                loss = loss - NATURAL * natural * self.critic(disturb(pictures)).float().mean()
            self.critic.requires_grad_(True)
        set_rate(self.optimizer, rate)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.vq.parameters(), 1.0)
        self.optimizer.step()
        self.use.lerp_(torch.bincount(index.flatten(), minlength=CODES).float(), 0.02)
        if revive:
            self.revive(latents)
        if natural:
            self._judge(x, pictures.detach())
        used = self.use / self.use.sum()
        spread = float((-(used * (used + 1e-12).log()).sum()).exp())
        return {"pixels": float(pixels.detach()), "feat": float(features.detach()),
                "commit": float(commitment.detach()), "spread": spread}  # fmt: skip

    def _judge(self, x: Tensor, pictures: Tensor) -> None:
        with half_precision(self.device):
            scores = self.critic(disturb(torch.cat([x * 2 - 1, pictures])))
        loss = critic_loss(scores[: len(x)], scores[len(x) :])
        self.judge.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.judge.step()


def train_vq(job: Job) -> None:
    """Train the discrete generator; writes the folder ``cifar_vq`` and ``cifar_vq.json``.

    Raises:
        NotFound: No teacher is given; the feature loss needs it.
    """
    if job.teacher is None:
        raise NotFound("Training the vq needs --teacher FILE for its feature loss.")
    torch.manual_seed(SEED)
    train = read_images(job.data / TRAIN_FILE).to(job.device)
    test = read_images(job.data / TEST_FILE).to(job.device)
    vq = build_vq().to(job.device)
    trainer = _Trainer(vq, load_teacher(job.teacher, job.device), job.device)
    weights = job.out / "cifar_vq" / "diffusion_pytorch_model.safetensors"
    if job.resume and (found := read_weights(weights, vq.state_dict())) is not None:
        vq.load_state_dict(found)
    else:
        trainer.seed_codes(train.x[torch.randperm(len(train.x))[:64]])
    some = train.x[:: max(1, len(train.x) // 2000)]  # the file may be sorted by class
    average = Average(vq, 0.995)
    budget = Budget(job.minutes, job.epochs * max(1, len(train.x) // BATCH))
    epoch, before = 0, epochs_before(job.out / "cifar_vq.json", job.resume)
    with Report("cifar_vq") as report:
        while budget.done < 1.0 and epoch < job.epochs:
            sums: dict[str, float] = {}
            for count, index in enumerate(batches(len(train.x), BATCH, job.device), 1):
                natural = min(1.0, max(0.0, (budget.done - NATURAL_FROM) / 0.1))
                # A replaced code needs time to converge, so none is replaced in the last third.
                revive = budget.step % REVIVE_EVERY == REVIVE_EVERY - 1 and budget.done < 0.7
                x = shift_and_flip(train.x[index], 2)
                parts = trainer.step(x, budget.rate(PEAK_RATE), natural, revive)
                average.update(vq)
                budget.step += 1
                sums = {name: sums.get(name, 0.0) + value for name, value in parts.items()}
                state = " ".join(f"{name} {value / count:.4g}" for name, value in sums.items())
                report.show(budget.done, state)
                if budget.done >= 1.0:
                    break
            epoch += 1
            report.line(f"epoch {epoch}: {state}")
            _write(vq, average, job, some, test.x, before + epoch)


def _write(vq: Any, average: Average, job: Job, train: Tensor, test: Tensor, epoch: int) -> None:
    kept = copy.deepcopy(vq).eval()
    kept.load_state_dict(average.state)
    write_model(job.out / "cifar_vq", kept)
    facts = measure(kept, train, test)
    facts |= {
        "codes": CODES,
        "epochs": epoch,
        "latent_shape": list(LATENT),
        "parameters": sum(p.numel() for p in kept.parameters()),
        "scaling_factor": 1.0,
    }
    write_json(job.out / "cifar_vq.json", facts)
