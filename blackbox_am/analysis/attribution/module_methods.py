"""Attribution that changes the backward pass of single layers, by captum.

* Springenberg et al., "Striving for Simplicity: The All Convolutional Net", 2015: guided
  backpropagation, a ReLU passes gradients on that are positive where its input is positive.
* Zeiler, Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014: deconvnet, a
  ReLU passes positive gradients on, whatever its input.
* Selvaraju et al., "Grad-CAM", ICCV 2017.
* Bach et al., "On Pixel-Wise Explanations ... by Layer-Wise Relevance Propagation", 2015: LRP with
  captum's epsilon rule.

They need a `torch_module` oracle. During a call its module carries hooks, so nothing else may run
it at the same time.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from blackbox_am.analysis.attribution.gradients import INSTEAD
from blackbox_am.analysis.attribution.map import AttributionMap, over_channels
from blackbox_am.analysis.attribution.modules import (
    UnitModule,
    check_in_layers,
    check_relus,
    layer_of,
    module_of,
    watched,
)
from blackbox_am.analysis.cells import places_of
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.capability import Capability
from blackbox_am.core.oracle import Oracle, map_cells
from blackbox_am.core.types import Accounting
from blackbox_am.core.units import Unit, find_layer
from blackbox_am.errors import InvalidSpec, MissingExtra, Unsupported

_PASSED = (nn.Flatten, nn.Identity, nn.Unflatten)
"""Layers that only arrange values: the epsilon rule passes relevance through them."""


def guided_backprop(oracle: Oracle, unit: str | Unit, stimulus: Any) -> AttributionMap:
    """Guided backpropagation; the map is the largest absolute value over the channels.

    Raises:
        GradientUnavailable, CapabilityMissing: for an oracle without gradients or without a module.
        Unsupported: for a ReLU that runs twice or is a function, and for a model without ReLU.
        MissingExtra: without captum.
    """
    return _by_relus(oracle, unit, stimulus, "guided_backprop", "GuidedBackprop")


def deconvnet(oracle: Oracle, unit: str | Unit, stimulus: Any) -> AttributionMap:
    """The backward pass of a deconvnet; the map is the largest absolute value over the channels.

    Raises:
        GradientUnavailable, CapabilityMissing, Unsupported, MissingExtra: see `guided_backprop`.
    """
    return _by_relus(oracle, unit, stimulus, "deconvnet", "Deconvolution")


def grad_cam(oracle: Oracle, unit: str | Unit, stimulus: Any, *, layer: str = "") -> AttributionMap:
    """The channels of a layer, weighted by the mean gradient of the unit and added.

    Args:
        oracle: a `torch_module` oracle of images.
        unit: the unit's address, behind the layer.
        stimulus: (channels, height, width) in [0, 1], or uint8.
        layer: a layer with height and width; the last one before the unit's layer if empty.

    Raises:
        GradientUnavailable, CapabilityMissing: for an oracle without gradients or without a module.
        InvalidSpec: for a layer without height and width, none before the unit, or a later one.
        MissingExtra: without captum.
    """
    subject, network = _opened(oracle, unit, "grad_cam")
    captum = _captum()
    shown = subject.stimulus(stimulus)
    name = layer or _last_map(subject)
    if map_cells(find_layer(subject.info, Unit(name)), 1) is None:
        raise InvalidSpec(
            f"grad_cam: layer {name!r} has no height and width; name a convolution or a block",
            field="layer",
        )
    _check_behind(subject, name)
    module = UnitModule(subject, network)
    score = float(subject.measure(shown[None])[0, 0])
    cam = captum.LayerGradCam(module, layer_of(network, name))
    found = _attributed(subject, cam, shown, relu_attributions=True)
    size = tuple(shown.shape[1:])
    values = captum.LayerAttribution.interpolate(found[None], size, "bilinear")[0, 0]
    return AttributionMap.of(
        subject,
        shown,
        score,
        values.double().cpu().numpy(),
        f"Grad-CAM of {name}",
        parameters={"layer": name},
        more={"coarse": found[0].double().cpu().numpy()},
    )


def lrp(
    oracle: Oracle, unit: str | Unit, stimulus: Any, *, epsilon: float = 1e-9
) -> AttributionMap:
    """Layer-wise relevance propagation with the epsilon rule in every layer.

    In a ReLU net without biases the relevance adds up to the activation. `more["conserved"]` has
    the sum of the relevance; a note says where it misses the activation by more than 1 %.

    Args:
        oracle: a `torch_module` oracle: Conv2d, Linear, pooling of images, ReLU, Tanh, Flatten.
        unit: the unit's address.
        stimulus: (*stimulus) in [0, 1], or uint8.
        epsilon: the stabiliser of the rule.

    Raises:
        GradientUnavailable, CapabilityMissing: for an oracle without gradients or without a module.
        Unsupported: for layers that have no rule, such as those of a vision transformer, and for
            what a function does that is no layer, such as a mean over positions.
        MissingExtra: without captum.
    """
    subject, network = _opened(oracle, unit, "lrp")
    captum = _captum()
    shown = subject.stimulus(stimulus)
    _check_rules(network)
    seen = watched(subject, network, shown)
    check_relus(subject, seen)
    check_in_layers(subject, seen)
    score = float(subject.measure(shown[None])[0, 0])
    full = _relevance(subject, network, captum, shown, epsilon)
    values = over_channels(full, places_of(tuple(shown.shape)), "sum")
    total = float(full.sum())
    return AttributionMap.of(
        subject, shown, score, values, "relevance, sum over channels", full=full,
        parameters={"rule": f"epsilon, {epsilon:g}"},
        more={"conserved": np.array(total)},
        notes=_conservation(total, score),
    )  # fmt: skip


def _relevance(
    subject: Subject, network: nn.Module, captum: Any, shown: torch.Tensor, epsilon: float
) -> Any:
    from captum.attr._utils.lrp_rules import EpsilonRule

    layers = [layer for layer in network.modules() if not any(True for _ in layer.children())]
    with _without_rules(layers):
        for layer in layers:
            if not isinstance(layer, (nn.ReLU, nn.Dropout, nn.Tanh)):
                layer.rule = EpsilonRule(epsilon)
        found = _attributed(subject, captum.LRP(UnitModule(subject, network)), shown)
    return found.double().cpu().numpy()


@contextmanager
def _without_rules(layers: Sequence[nn.Module]) -> Iterator[None]:
    """Takes the attribute `rule`, by which captum finds the rule of a layer, from layers that have
    one, and gives it back at the end. What captum keeps in a layer is removed.
    """
    kept = [(layer, vars(layer).pop("rule")) for layer in layers if "rule" in vars(layer)]
    try:
        yield
    finally:
        for layer in layers:
            vars(layer).pop("rule", None)
            vars(layer).pop("activations", None)
        for layer, rule in kept:
            layer.rule = rule


def _check_rules(network: nn.Module) -> None:
    """Check that every layer has a rule of relevance.

    Raises:
        Unsupported: for the first layer that has none.
    """
    from captum.attr._core.lrp import SUPPORTED_LAYERS_WITH_RULES, SUPPORTED_NON_LINEAR_LAYERS

    known = tuple(
        kind
        for kind in (*SUPPORTED_LAYERS_WITH_RULES, *SUPPORTED_NON_LINEAR_LAYERS, *_PASSED)
        if kind is not nn.BatchNorm2d  # divides by its own small outputs: relevance explodes
    )
    for name, layer in network.named_modules():
        if any(True for _ in layer.children()) or isinstance(layer, known):
            continue
        raise Unsupported(
            f"lrp: layer {name!r} is a {type(layer).__name__}, for which there is no rule of "
            "relevance; transformers, batch norm, series and other layers than Conv2d, Linear, "
            "pooling of images and ReLU are not supported. Fold batch norm into the convolutions "
            "(torch.nn.utils.fusion), or use integrated_gradients or rise"
        )


def _conservation(total: float, score: float) -> tuple[str, ...]:
    if abs(total - score) <= 0.01 * max(abs(score), 1e-12):
        return ()
    return (
        (
            f"The relevance adds up to {total:.4g} and the activation is {score:.4g}: biases and "
            "sums of branches, such as shortcuts, take or give relevance. Compare the map "
            "with another method before you use it."
        ),
    )


def _by_relus(
    oracle: Oracle, unit: str | Unit, stimulus: Any, method: str, kind: str
) -> AttributionMap:
    subject, network = _opened(oracle, unit, method)
    captum = _captum()
    shown = subject.stimulus(stimulus)
    check_relus(subject, watched(subject, network, shown))
    score = float(subject.measure(shown[None])[0, 0])
    found = _attributed(subject, getattr(captum, kind)(UnitModule(subject, network)), shown)
    full = found.double().cpu().numpy()
    values = over_channels(full, places_of(tuple(shown.shape)), "max")
    return AttributionMap.of(
        subject, shown, score, values, "largest |value| of a channel", full=full
    )


def _attributed(subject: Subject, method: Any, shown: torch.Tensor, **options: Any) -> torch.Tensor:
    """(*stimulus) or (1, height, width): what a method of captum gives for one stimulus."""
    with torch.enable_grad(), subject.billed(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Setting (backward|forward)")  # that it has hooks
        rows = shown[None].clone().requires_grad_()
        found: torch.Tensor = method.attribute(rows, target=0, **options)
    subject.spent += Accounting(backward_rows=1)
    return found.detach()[0]


def _opened(oracle: Oracle, unit: str | Unit, method: str) -> tuple[Subject, nn.Module]:
    subject = Subject(oracle, [unit], method=method, needs=Capability.GRADIENTS, instead=INSTEAD)
    return subject, module_of(subject, INSTEAD)


def _check_behind(subject: Subject, layer: str) -> None:
    """Check that the unit's layer does not run before `layer`."""
    order = [one.name for one in subject.info.layers]
    unit = subject.units[0]
    if order.index(layer) > order.index(unit.layer):
        raise InvalidSpec(
            f"grad_cam: layer {layer!r} runs after {unit}, which does not depend on it; name a "
            "layer before the unit",
            field="layer",
        )


def _last_map(subject: Subject) -> str:
    """The last layer with height and width before the unit's layer."""
    names = []
    for layer in subject.info.layers:
        if layer.name == subject.units[0].layer:
            break
        if (map_cells(layer, 2) or (1, 1)) > (1, 1):
            names.append(layer.name)
    if not names:
        raise InvalidSpec(
            f"grad_cam: no layer with height and width runs before {subject.units[0]}; {INSTEAD}",
            field="layer",
        )
    return names[-1]


def _captum() -> Any:
    try:
        import captum.attr
    except ModuleNotFoundError as error:
        raise MissingExtra.of("captum", "analysis") from error
    return captum.attr
