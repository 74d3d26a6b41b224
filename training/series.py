"""Training of the classifier and the generator of time series (cylinder, bell, funnel)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from blackbox_am.errors import Unsupported
from blackbox_am.zoo.cbf import MEAN, NOISE, STD, cylinder_bell_funnel
from blackbox_am.zoo.series import SeriesArchitecture, SeriesCNN, SeriesEncoder
from training.files import rounded, write_json, write_weights
from training.loop import SEED, Average, Budget, Job, Report, batches, descend
from training.losses import divergence
from training.teacher import Normalise

TRAIN, TEST = 6000, 1500
BATCH = 64
RATE = 2e-3


def _series(seed: int, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    x, y = cylinder_bell_funnel(count, seed)
    return torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)


def _train(
    name: str, nets: nn.ModuleDict, job: Job, loss_of: Callable[[Tensor, Tensor], Tensor]
) -> int:
    """Train with AdamW until the budget is used up, then load the averaged weights.

    Returns:
        The number of passes over the series.
    """
    if job.resume:
        raise Unsupported(f"Training {name} takes minutes and does not go on from weights: "
                          "leave --resume out.")  # fmt: skip
    x, y = _series(SEED, TRAIN, job.device)
    average = Average(nets)
    optimizer = torch.optim.AdamW(nets.parameters(), lr=RATE, weight_decay=1e-4, fused=True)
    budget = Budget(job.minutes, job.epochs * (TRAIN // BATCH))
    epoch = 0
    with Report(name) as report:
        while budget.done < 1.0:
            nets.train()
            total = 0.0
            for seen, index in enumerate(batches(TRAIN, BATCH, job.device), 1):
                loss = loss_of(x[index], y[index])
                descend(optimizer, loss, budget.rate(RATE), 5.0)
                average.update(nets)
                budget.step += 1
                total += float(loss.detach())
                report.show(budget.done, f"loss {total / seen:.4g}")
                if budget.done >= 1.0:
                    break
            epoch += 1
            report.line(f"epoch {epoch}: loss {total / seen:.4g}")
    nets.load_state_dict(average.state)
    nets.eval()
    return epoch


def train_cbf_cnn(job: Job) -> None:
    """Train the classifier; writes ``cbf_cnn.safetensors`` and ``cbf_cnn.json``."""
    torch.manual_seed(SEED)
    net = SeriesCNN().to(job.device)
    normalise = Normalise((MEAN,), (STD,), dims=1).to(job.device)

    def loss_of(x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(net(normalise(x)), y, label_smoothing=0.05)

    epoch = _train("cbf_cnn", nn.ModuleDict({"net": net}), job, loss_of)
    write_weights(job.out / "cbf_cnn.safetensors", net.state_dict())
    x, y = _series(SEED + 1, TEST, job.device)
    with torch.no_grad():
        right = float((net(normalise(x)).argmax(1) == y).float().mean())
    facts = {"accuracy_test_1500": round(right, 4), "epochs": epoch, "parameters": _size(net)}
    write_json(job.out / "cbf_cnn.json", facts)


def train_cbf_vae(job: Job) -> None:
    """Train the generator; writes ``cbf_vae.safetensors`` (the decoder) and ``cbf_vae.json``.

    The likelihood is normal with the noise of the recipe. The loss is therefore the negative
    evidence lower bound, in nats up to a constant, and needs no weighting factor.
    """
    torch.manual_seed(SEED)
    architecture = SeriesArchitecture()
    nets = nn.ModuleDict({"encoder": SeriesEncoder(architecture), "decoder": architecture.build()})
    nets.to(job.device)

    def loss_of(x: Tensor, y: Tensor) -> Tensor:
        del y
        mean, logvar = nets["encoder"](x)
        latents = mean + (0.5 * logvar).exp() * torch.randn_like(mean)
        error = (nets["decoder"](latents) - x).pow(2).flatten(1).sum(1).mean()
        bound: Tensor = error / (2 * NOISE**2) + divergence(mean, logvar)
        return bound

    epoch = _train("cbf_vae", nets, job, loss_of)
    write_weights(job.out / "cbf_vae.safetensors", nets["decoder"].state_dict())
    facts = _measure(nets, _series(SEED, TRAIN, job.device)[0], _series(SEED + 1, TEST, job.device))
    facts |= {
        "architecture": architecture.plain(),
        "epochs": epoch,
        "parameters": _size(nets["decoder"]),
    }
    write_json(job.out / "cbf_vae.json", facts)


@torch.no_grad()
def _measure(nets: nn.ModuleDict, train: Tensor, test: tuple[Tensor, Tensor]) -> dict[str, object]:
    """Latent statistics over training series, and the error on new ones."""
    mean, logvar = nets["encoder"](train)
    latents = mean + (0.5 * logvar).exp() * torch.randn_like(mean)
    nats = 0.5 * (mean.pow(2) + logvar.exp() - 1.0 - logvar).mean(0)
    guess = nets["decoder"](nets["encoder"](test[0])[0])
    return {
        "latent_mean": rounded(latents.mean(0)),
        "latent_nats": rounded(nats, 3),
        "latent_std": rounded(latents.std(0)),
        # A perfect reconstruction of the noiseless shape has an error of the noise's deviation.
        "noise": NOISE,
        "rmse_test_1500": round(float((guess - test[0]).pow(2).mean().sqrt()), 5),
    }


def _size(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())
