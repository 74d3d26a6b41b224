"""Training of the two image classifiers of the zoo by distillation from the teacher."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from blackbox_am.zoo.nets import CifarResNet, CifarViT
from training.data import (
    TEST_FILE,
    TRAIN_FILE,
    Images,
    cut_out,
    mix_up,
    read_images,
    shift_and_flip,
)
from training.files import epochs_before, read_weights, write_json, write_weights
from training.loop import (
    SEED,
    Average,
    Budget,
    Job,
    Report,
    batches,
    descend,
    half_precision,
)
from training.teacher import Normalise, Teacher, load_teacher

BATCH = 128
TEMPERATURE = 2.0
HINT = 2.0
TEACHER_WIDTH = 64


@torch.no_grad()
def accuracy(net: nn.Module, images: Images) -> float:
    """Share of images (pixels in [0, 1]) that ``net`` classifies correctly."""
    net.eval()
    normalise = Normalise().to(images.x.device)
    right = 0
    for x, y in zip(torch.split(images.x, 250), torch.split(images.y, 250), strict=True):
        right += int((net(normalise(x)).argmax(1) == y).sum())
    return right / len(images.y)


def distillation(logits: Tensor, targets: Tensor) -> Tensor:
    """Kullback-Leibler divergence from softened teacher to student logits, both ``(B, 10)``."""
    return functional.kl_div(
        functional.log_softmax(logits / TEMPERATURE, 1),
        functional.log_softmax(targets / TEMPERATURE, 1),
        reduction="batchmean",
        log_target=True,
    ) * (TEMPERATURE**2)


class Student(nn.Module):
    """A zoo net and a linear layer that predicts the teacher's last 8x8 map from the net's.

    A student that predicts the teacher's last feature map as well as its logits needs far fewer
    training steps (Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015). The linear
    layer is not saved.

    Args:
        net: The net to train.
        width: Channels of the net's last map or tokens.
    """

    def __init__(self, net: CifarResNet | CifarViT, width: int) -> None:
        super().__init__()
        self.net = net
        self.translate = nn.Linear(width, TEACHER_WIDTH)
        self.normalise = Normalise()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``(B, 10)`` and predicted teacher map ``(B, 64, 64)`` for images in [0, 1]."""
        x = self.normalise(x)
        if isinstance(self.net, CifarViT):
            tokens = self.net.features(x)
            return self.net.classify(tokens), self.translate(tokens[:, 1:])
        top = self.net.features(x)[-1]
        return self.net.classify(top), self.translate(top.flatten(2).transpose(1, 2))


def _loss(student: Student, teacher: Teacher | None, x: Tensor, y: Tensor) -> Tensor:
    with half_precision(x.device):
        logits, guess = student(x)
    if teacher is None:
        return functional.cross_entropy(logits.float(), y, label_smoothing=0.1)
    with torch.no_grad(), half_precision(x.device):
        top = teacher.features(x)[-1]
        targets = teacher.net.classify(top).float()
    hint = top.float().flatten(2).transpose(1, 2)
    gap = functional.mse_loss(guess.float(), hint) / hint.var()
    return distillation(logits.float(), targets) + HINT * gap


def _train(
    student: Student, job: Job, name: str, optimizer: torch.optim.Optimizer, hole: int
) -> None:
    net, peak = student.net, optimizer.param_groups[0]["lr"]
    train = read_images(job.data / TRAIN_FILE).to(job.device)
    test = read_images(job.data / TEST_FILE).to(job.device)
    teacher = load_teacher(job.teacher, job.device) if job.teacher else None
    weights, metadata = job.out / f"{name}.safetensors", job.out / f"{name}.json"
    if job.resume and (found := read_weights(weights, net.state_dict())) is not None:
        net.load_state_dict(found, strict=False)
    average = Average(net)
    frozen = type(net)().to(job.device)
    budget = Budget(job.minutes, job.epochs * max(1, len(train.x) // BATCH))
    before = epochs_before(metadata, job.resume)
    epoch, score = 0, 0.0
    with Report(name) as report:
        while budget.done < 1.0 and epoch < job.epochs:
            student.train()
            for index in batches(len(train.x), BATCH, job.device):
                x = shift_and_flip(train.x[index], 4)
                if teacher is not None:
                    x = mix_up(x)
                x = cut_out(x, hole) if hole else x
                loss = _loss(student, teacher, x, train.y[index])
                descend(optimizer, loss, budget.rate(peak), 2.0)
                average.update(net)
                budget.step += 1
                report.show(budget.done, f"loss {float(loss.detach()):.3f}")
                if budget.done >= 1.0:
                    break
            epoch += 1
            # The weights are rounded as in the file, so that the accuracy is that of the file.
            rounded = {
                key: value.half().float() if value.is_floating_point() else value
                for key, value in average.state.items()
            }
            frozen.load_state_dict(rounded)
            score = accuracy(frozen, test)
            report.line(f"epoch {epoch}: test accuracy {score:.3f}")
            write_weights(weights, average.state)
    write_json(
        metadata,
        {
            "accuracy_test_1000": round(score, 4),
            "distilled": teacher is not None,
            "epochs": before + epoch,
            "parameters": sum(p.numel() for p in net.parameters()),
        },
    )


def train_cnn(job: Job) -> None:
    """Train the residual net; writes ``cifar_cnn.safetensors`` and ``cifar_cnn.json``."""
    torch.manual_seed(SEED)
    student = Student(CifarResNet(), 128).to(job.device)
    optimizer = torch.optim.SGD(
        student.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    _train(student, job, "cifar_cnn", optimizer, hole=8)


def train_vit(job: Job) -> None:
    """Train the transformer; writes ``cifar_vit.safetensors`` and ``cifar_vit.json``."""
    torch.manual_seed(SEED)
    student = Student(CifarViT(), 96).to(job.device)
    optimizer = torch.optim.AdamW(
        student.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.03, fused=True
    )
    _train(student, job, "cifar_vit", optimizer, hole=0)
