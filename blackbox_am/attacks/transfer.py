"""Adversarial inputs of a local model, at which a search on another model begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.attacks.classes import classes_of
from blackbox_am.attacks.problem import Problem
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.devices import resolve_device
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.spec import ObjectiveSpec
from blackbox_am.core.types import Accounting
from blackbox_am.errors import InvalidInput
from blackbox_am.generators.inputs.perturbation import Perturbation
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.studies.given import oracle_of
from blackbox_am.studies.local import maximise

STEPS = 10
PARAMETERS: Mapping[str, Any] = {
    "steps": STEPS,
    "step": 1.0,
    "momentum": 1.0,
    "random_start": False,
}
"""Of `pgd`: ten long steps with momentum from the clean input (Dong et al., 2018). Of 100 images,
changes of a small network that was trained apart fooled ResNet-20 for 67, with steps of .25 for 58,
and without momentum for 65 and 62. `margin` in place of `cross_entropy` lost 1 to 7 images."""


@dataclass(frozen=True)
class TransferStart:
    """Adversarial inputs of a surrogate.

    Attributes:
        latents: (K, D) float32 changes in units of the ball, in the box of `perturbation` with
            ``squash = false`` and the same ball: the start of a study.
        scores: (K,) float64, the scores of the objective on the surrogate.
        spent: the account of the surrogate. The model under attack was not asked.
    """

    latents: NDArray[np.float32]
    scores: NDArray[np.float64]
    spent: Accounting


def transfer_start(
    surrogate: Oracle | str | torch.nn.Module,
    images: NDArray[Any],
    labels: Sequence[int],
    classes: Sequence[str] = (),
    *,
    norm: Literal["linf", "l2"] = "linf",
    eps: float = 8 / 255,
    targeted: bool = False,
    bits: int = 8,
    channels_last: bool = False,
    objective: str = "cross_entropy",
    optimizer: str = "pgd",
    parameters: Mapping[str, Any] | None = None,
    queries_per_target: int = STEPS + 1,
    seed: int = 0,
    catalogue: Catalogue | None = None,
    device: str = "auto",
) -> TransferStart:
    """Attacks a local model with gradients, and returns the changes that fool it best.

    What fools one model often fools another that was trained for the same task (Papernot,
    McDaniel and Goodfellow, "Transferability in machine learning", 2016). A search on a model whose
    rows are paid for begins at these changes: `square`, for example, measures them in its first
    row. The surrogate is attacked by an ordinary study, without a criterion: a change that lies
    further behind the surrogate's boundary more often fools another model.

    Args:
        surrogate: the local model, or its name in the catalogue, such as `cifar_cnn`.
        images: (K, *stimulus) clean inputs, uint8 or in [0, 1].
        labels: K true classes, or the classes that are to win if `targeted`, as positions in
            `classes`.
        classes: addresses of the surrogate's class scores, in the order of the labels, such as
            `head:0`; by default the units of its last layer with a score for each class.
        norm, eps, bits: the ball of the attack and the bits of an input, see `Perturbation`.
        targeted: whether the classes are to win.
        channels_last: whether the images are (height, width, channels).
        objective: `cross_entropy`, `margin` or `dlr`.
        optimizer, parameters: the attack on the surrogate, `pgd` or `apgd`; by default `PARAMETERS`
            for `pgd`, and the defaults of any other optimizer.
        queries_per_target: rows of the surrogate for each image; each is a forward and a backward
            pass.
        seed: determines every random number.
        catalogue: the catalogue in which names are looked up; the shipped models if None.
        device: `cpu`, `cuda` or `auto`.

    Raises:
        InvalidInput: if labels and images differ in number, or the surrogate has no classes.
        GradientUnavailable: if the surrogate has no gradients.
        InvalidSpec: for parameters out of range, or a label that is no class.
    """
    if len(labels) != len(images):
        raise InvalidInput(
            f"labels: expected one an image, got {len(labels)} labels for {len(images)} images",
            field="labels",
        )
    catalogue = catalogue or Catalogue.default()
    device = resolve_device(device)
    ball = Perturbation(
        inputs=images,
        channels_last=channels_last,
        ball=norm,
        radius=eps,
        squash=False,
        bits=bits,
    )
    model = oracle_of(surrogate, ball, catalogue, device)
    quantities = tuple(classes) or classes_of(model.describe(), name="the surrogate").quantities
    standard = PARAMETERS if optimizer == "pgd" else {}
    chosen = {"norm": norm, **(standard if parameters is None else parameters)}
    result = maximise(
        oracle=model,
        generator=ball,
        targets=[
            ObjectiveSpec(
                objective,
                quantities,
                parameters={"label": int(label), "targeted": targeted},
            )
            for label in labels
        ],
        optimizer=optimizer,
        parameters=chosen,
        queries_per_target=queries_per_target,
        seed=seed,
        catalogue=catalogue,
        device=device,
    )
    return TransferStart(
        np.stack([best.latent for best in result.best]).astype(np.float32),
        np.array([best.score for best in result.best], np.float64),
        result.progress.spent,
    )


@dataclass(frozen=True)
class Surrogate:
    """Suggests changes which fool a model of this process, for `attacks.run`.

    Attributes:
        model: the other model.
        catalogue, device: as of `transfer_start`.
        identity: digest of the model.
    """

    model: Oracle
    catalogue: Catalogue
    device: str
    identity: str

    def __call__(
        self, problem: Problem, stimuli: NDArray[Any], labels: Sequence[int]
    ) -> NDArray[np.float32]:
        """See `Suggest`."""
        if problem.norm not in ("linf", "l2"):
            raise InvalidInput(
                "surrogate: gradients of a surrogate change all pixels; use norm linf or l2",
                field="surrogate",
            )
        return transfer_start(
            self.model,
            stimuli,
            labels,
            norm=problem.norm,
            eps=problem.eps,
            targeted=problem.targeted,
            bits=problem.bits,
            seed=problem.seed,
            catalogue=self.catalogue,
            device=self.device,
        ).latents


def suggestions_of(
    surrogate: Oracle | str | torch.nn.Module,
    catalogue: Catalogue,
    device: str,
    shape: tuple[int, ...] = (),
) -> Surrogate:
    """What suggests changes which fool `surrogate`; `shape` is that of an input of a module."""
    if isinstance(surrogate, torch.nn.Module):
        surrogate = TorchModule(surrogate, stimulus_shape=shape, device=device)
    model = catalogue.oracle(surrogate) if isinstance(surrogate, str) else surrogate
    return Surrogate(model, catalogue, device, model.fingerprint().digest)
