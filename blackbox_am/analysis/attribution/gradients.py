"""Attribution by gradients of the activation: saliency, SmoothGrad and integrated gradients.

They run on any oracle with the capability GRADIENTS, by its own gradients.

* Simonyan, Vedaldi, Zisserman, "Deep Inside Convolutional Networks", 2013: the map is the largest
  absolute gradient over the channels.
* Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017: the mean gradient over noisy
  copies. The noise is drawn by seed, where captum's NoiseTunnel takes the global generator.
* Sundararajan, Taly, Yan, "Axiomatic Attribution for Deep Networks", ICML 2017; the integral by
  captum, Gauss-Legendre.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from blackbox_am.analysis.attribution.map import AttributionMap, over_channels
from blackbox_am.analysis.cells import places_of
from blackbox_am.analysis.fills import filled
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.capability import Capability
from blackbox_am.core.metering import count
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.parameters import check
from blackbox_am.core.rng import Stream
from blackbox_am.core.types import Accounting
from blackbox_am.core.units import Unit
from blackbox_am.errors import MissingExtra

INSTEAD = "use occlusion, rise, finite_differences or sobol_cells, which need scores only"


def saliency(oracle: Oracle, unit: str | Unit, stimulus: Any) -> AttributionMap:
    """The gradient of a unit's activation with respect to the stimulus.

    Returns:
        The map: the largest absolute gradient over the channels. `full` is the signed gradient.

    Raises:
        GradientUnavailable: without the capability GRADIENTS; the message names black-box methods.
        ShapeMismatch, UnknownUnit: see `Subject`.
    """
    subject = _subject(oracle, unit, "saliency")
    shown = subject.stimulus(stimulus)
    scores, slopes = subject.gradients(shown[None])
    return _mapped(subject, shown, float(scores[0]), slopes[0], "largest |gradient| of a channel")


def smoothgrad(
    oracle: Oracle,
    unit: str | Unit,
    stimulus: Any,
    *,
    copies: int = 50,
    noise: float = 0.15,
    seed: int = 0,
) -> AttributionMap:
    """The mean gradient over noisy copies of the stimulus.

    Args:
        oracle: an oracle with gradients.
        unit: the unit's address.
        stimulus: (*stimulus) in [0, 1], or uint8.
        copies: number of copies.
        noise: standard deviation of the noise, as a part of the stimulus's range of values.
        seed: of the noise.

    Raises:
        GradientUnavailable: without the capability GRADIENTS.
        InvalidSpec: for a number out of range.
    """
    check(copies >= 1, "copies", "1 or more", copies)
    check(noise >= 0, "noise", "0 or more", noise)
    subject = _subject(oracle, unit, "smoothgrad")
    shown = subject.stimulus(stimulus)
    score = float(subject.measure(shown[None])[0, 0])
    stream = Stream(seed, "smoothgrad", 0)
    deviation = noise * float(shown.max() - shown.min())
    total = torch.zeros_like(shown)
    size = subject.info.batch_size
    for start in range(0, copies, size):
        rows = min(size, copies - start)
        noisy = shown + deviation * stream.normal(rows, *shown.shape)[0]
        total += subject.gradients(noisy)[1].to(total).sum(0)
    return _mapped(
        subject, shown, score, total / copies, "largest |mean gradient| of a channel",
        parameters={"copies": copies, "noise": noise, "seed": seed},
    )  # fmt: skip


def integrated_gradients(
    oracle: Oracle,
    unit: str | Unit,
    stimulus: Any,
    *,
    steps: int = 50,
    fill: Any = "zero",
) -> AttributionMap:
    """The gradient integrated along the straight way from a reference to the stimulus.

    The attributions add up to the difference of the activations at both ends; `more["delta"]` has
    the rest.

    Args:
        oracle: an oracle with gradients.
        unit: the unit's address.
        stimulus: (*stimulus) in [0, 1], or uint8.
        steps: points of the integral.
        fill: the reference, see `fills.filled`.

    Raises:
        GradientUnavailable: without the capability GRADIENTS, or if the answers do not depend on
            the stimuli by operations that PyTorch differentiates.
        MissingExtra: without captum.
    """
    check(steps >= 1, "steps", "1 or more", steps)
    subject = _subject(oracle, unit, "integrated_gradients")
    try:
        from captum.attr import IntegratedGradients
    except ModuleNotFoundError as error:
        raise MissingExtra.of("captum", "analysis") from error
    shown = subject.stimulus(stimulus)
    reference = filled(shown, fill)
    ends = subject.measure(torch.stack([shown, reference]))[:, 0]

    def forward(rows: torch.Tensor) -> torch.Tensor:
        answer = subject.ask(rows)[:, 0]
        if not answer.requires_grad:
            raise subject.undifferentiable()
        count(Accounting(backward_rows=len(rows)))
        return answer

    with torch.enable_grad(), subject.billed():
        found = IntegratedGradients(forward).attribute(
            shown[None],
            baselines=reference[None],
            n_steps=steps,
            internal_batch_size=subject.info.batch_size,
        )[0]
    delta = float(found.sum()) - float(ends[0] - ends[1])
    return _mapped(
        subject, shown, float(ends[0]), found, "integrated gradient, sum over channels", how="sum",
        parameters={"steps": steps, "fill": fill if isinstance(fill, str) else "an array"},
        more={"delta": np.array(delta)},
        notes=_delta_note(delta, float(ends[0] - ends[1])),
    )  # fmt: skip


def _delta_note(delta: float, whole: float) -> tuple[str, ...]:
    if abs(delta) <= 0.05 * max(abs(whole), 1e-6):
        return ()
    return (
        (
            f"The attributions miss the difference of the activations ({whole:.4g}) by "
            f"{delta:.3g}, more than 5 %; give more steps."
        ),
    )


def _subject(oracle: Oracle, unit: str | Unit, method: str) -> Subject:
    return Subject(oracle, [unit], method=method, needs=Capability.GRADIENTS, instead=INSTEAD)


def _mapped(
    subject: Subject,
    shown: torch.Tensor,
    score: float,
    full: torch.Tensor,
    meaning: str,
    *,
    how: str = "max",
    **more: Any,
) -> AttributionMap:
    array = full.detach().double().cpu().numpy()
    values = over_channels(array, places_of(tuple(shown.shape)), how)
    return AttributionMap.of(subject, shown, score, values, meaning, full=array, **more)
