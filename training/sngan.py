"""Training of the adversarial generator: spectral norm, hinge loss, differentiable augmentation.

Miyato, Kataoka, Koyama, Yoshida, "Spectral Normalization for Generative Adversarial Networks",
ICLR 2018. Differences: one step of the discriminator for each step of the generator, at twice
the generator's learning rate (Heusel et al., NIPS 2017) and on the same latents; the augmentation
of :mod:`training.augment`; the average of the generator's weights is saved.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from blackbox_am.zoo.gans import GanArchitecture
from training.augment import augment
from training.data import TRAIN_FILE, read_images, shift_and_flip
from training.files import write_json, write_weights
from training.longrun import LongRun
from training.loop import (
    SEED,
    Average,
    Job,
    channels_last,
    descend,
    half_precision,
)
from training.losses import critic_loss
from training.teacher import Teacher, load_teacher

NAME = "cifar_sngan"
BATCH = 32
WIDTHS = (32, 64, 128, 256)
RATE = 2e-4
DECAY_FROM = 0.6
AVERAGE = 0.999
WARM_UP = 100
JUDGE = 48
TEACHER_WIDTHS = (16, 32, 64)
SETTLING = 40


def _normed(module: nn.Module) -> nn.Module:
    """The module with its weight divided by its largest singular value."""
    return nn.utils.parametrizations.spectral_norm(module)


class DownBlock(nn.Module):
    """Residual block that halves the side: ``(B, a, H, W)`` to ``(B, b, H / 2, W / 2)``.

    Args:
        in_channels: a.
        channels: b.
        first: Whether the input is pictures; a ReLU on pictures would lose information.
    """

    def __init__(self, in_channels: int, channels: int, first: bool) -> None:
        super().__init__()
        self.conv1 = _normed(nn.Conv2d(in_channels, channels, 3, 1, 1))
        self.conv2 = _normed(nn.Conv2d(channels, channels, 3, 1, 1))
        self.skip = _normed(nn.Conv2d(in_channels, channels, 1))
        self.first = first

    def forward(self, x: Tensor) -> Tensor:
        """Apply two convolutions and 2x2 average pooling, and add the pooled input."""
        out = self.conv1(x if self.first else functional.relu(x))
        out = functional.avg_pool2d(self.conv2(functional.relu(out)), 2)
        result: Tensor = out + self.skip(functional.avg_pool2d(x, 2))
        return result


class Discriminator(nn.Module):
    """The paper's residual net (appendix B.4), narrower, and heads on a frozen net's feature maps.

    The heads score the feature maps of a trained classifier at 32x32, 16x16 and 8x8 (Sauer,
    Chitta, Mueller, Geiger, "Projected GANs Converge Faster", NeurIPS 2021), which reduces the
    number of training steps. The residual net scores the pixels and detects pictures that are
    natural only in the features of the classifier.

    Args:
        teacher: The frozen classifier; without it the discriminator uses only the pixels.
        widths: Channels of the residual net at 16x16, 8x8, 4x4 and 2x2 pixels.
    """

    def __init__(self, teacher: Teacher | None, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        pairs = zip((3, *widths), widths, strict=False)
        self.blocks = nn.Sequential(*[DownBlock(a, b, a == 3) for a, b in pairs])
        self.head = _normed(nn.Linear(widths[-1], 1))
        # Not a registered module: the teacher is not trained and not part of the checkpoints.
        self._teacher = [teacher] if teacher else []
        self.judges = nn.ModuleList(
            nn.Sequential(
                _normed(nn.Conv2d(channels, JUDGE, 4, 2, 1)), nn.LeakyReLU(0.2),
                _normed(nn.Conv2d(JUDGE, JUDGE, 4, 2, 1)), nn.LeakyReLU(0.2),
                _normed(nn.Conv2d(JUDGE, 1, 1)),
            ) for channels in (TEACHER_WIDTHS if teacher else ())
        )  # fmt: skip

    def forward(self, x: Tensor) -> list[Tensor]:
        """Scores of pictures ``(B, 3, 32, 32)`` in [-1, 1]; a score above 0 means natural.

        Returns:
            ``(B, 1)`` of the pixels and ``(B, 1, H, W)`` of each head.
        """
        scores = [self.head(functional.relu(self.blocks(x)).sum((2, 3)))]
        for teacher in self._teacher:
            maps = teacher.features(x / 2 + 0.5)
            scores += [judge(m) for judge, m in zip(self.judges, maps, strict=True)]
        return [score.float() for score in scores]


class _Trainer:
    """Both nets with their optimisers and the weight average; performs one training step."""

    def __init__(self, device: torch.device, teacher: Teacher | None) -> None:
        self.device = device
        self.architecture = GanArchitecture()
        self.generator = channels_last(self.architecture.build().to(device))
        self.discriminator = channels_last(Discriminator(teacher).to(device))
        self.average = Average(self.generator, AVERAGE)
        self.optimizers = {
            "generator": torch.optim.Adam(
                self.generator.parameters(), lr=RATE, betas=(0.0, 0.99), fused=True
            ),
            "discriminator": torch.optim.Adam(
                self.discriminator.parameters(), lr=2 * RATE, betas=(0.0, 0.99), fused=True
            ),
        }

    def latents(self, count: int) -> Tensor:
        return torch.randn(count, self.architecture.latent, device=self.device)

    def step(self, x: Tensor, rate: float) -> dict[str, float]:
        """Update both nets on pictures in [-1, 1]; ``rate`` is the generator's learning rate."""
        count = len(x)
        with half_precision(self.device):
            fake = self.generator(self.latents(count)).float()
            scores = self.discriminator(augment(torch.cat([x, fake.detach()])))
        doubts = [critic_loss(score[:count], score[count:]) for score in scores]
        descend(self.optimizers["discriminator"], torch.stack(doubts).sum(), 2 * rate)
        self.discriminator.requires_grad_(False)
        with half_precision(self.device):
            liked = torch.stack([score.mean() for score in self.discriminator(augment(fake))])
        self.discriminator.requires_grad_(True)
        descend(self.optimizers["generator"], -liked.sum(), rate)
        self.average.update(self.generator)
        parts = {f"doubt{i}": float(doubt.detach()) for i, doubt in enumerate(doubts)}
        return parts | {f"liked{i}": float(one) for i, one in enumerate(liked.detach())}

    @torch.no_grad()
    def kept(self) -> nn.Module:
        """The averaged generator with recomputed batch-norm statistics.

        The feature maps of the averaged weights have other statistics than the average of the
        training nets' statistics.
        """
        net = copy.deepcopy(self.generator)
        net.load_state_dict(self.average.state)
        norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # plain mean over the batches
        net.train()
        for _ in range(SETTLING):
            net(self.latents(4 * BATCH))
        return net.eval()


def train_sngan(job: Job) -> None:
    """Train the generator; writes ``cifar_sngan.safetensors`` and ``cifar_sngan.json``.

    The training also writes ``cifar_sngan.checkpoint.safetensors`` every few minutes;
    ``--resume`` continues from this file for the time that was left. Without ``--teacher`` the
    discriminator sees only the pixels.
    """
    torch.manual_seed(SEED)
    pictures = read_images(job.data / TRAIN_FILE).to(job.device).x * 2 - 1
    teacher = load_teacher(job.teacher, job.device) if job.teacher else None
    if teacher is not None:
        channels_last(teacher)
    trainer = _Trainer(job.device, teacher)
    run = LongRun(
        NAME,
        job,
        nets={"generator": trainer.generator, "discriminator": trainer.discriminator},
        optimizers=trainer.optimizers,
        averages={"generator": trainer.average},
    )

    def step(index: Tensor, run: LongRun) -> dict[str, float]:
        # The rate rises first, so that the two nets stay in balance at the start.
        rise = min(1.0, (run.budget.step + 1) / WARM_UP)
        fall = min(1.0, (1.0 - run.budget.done) / (1.0 - DECAY_FROM))
        return trainer.step(shift_and_flip(pictures[index], 0), RATE * rise * fall)

    run.train(len(pictures), BATCH, step, lambda steps: _write(trainer, job, steps))


def _write(trainer: _Trainer, job: Job, steps: int) -> None:
    write_weights(job.out / f"{NAME}.safetensors", trainer.kept().state_dict())
    facts = {
        "architecture": trainer.architecture.plain(),
        "batch": BATCH,
        "parameters": sum(p.numel() for p in trainer.generator.parameters()),
        "steps": steps,
    }
    write_json(job.out / f"{NAME}.json", facts)
