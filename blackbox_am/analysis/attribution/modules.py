"""The PyTorch module behind an oracle, for methods that change the backward pass of its layers."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from blackbox_am.analysis.subject import Subject
from blackbox_am.core.oracle import HasModule
from blackbox_am.errors import CapabilityMissing, Unsupported

RELU_OPERATIONS = {
    torch.ops.aten.relu.default,
    torch.ops.aten.relu_.default,
}
PASSED_OPERATIONS = frozenset({
    "view", "_unsafe_view", "reshape", "permute", "transpose", "t", "squeeze", "unsqueeze",
    "expand", "clone", "detach", "alias", "_to_copy", "slice", "select", "split", "unbind", "cat",
    "stack", "constant_pad_nd", "max_pool1d", "max_pool2d_with_indices", "max_pool3d_with_indices",
    "add", "add_",
})  # fmt: skip
"""What a gradient passes through as relevance does: arrangements of values, and the largest of
some. In a sum of branches relevance is counted for each, which the sum of the map shows.
"""


class UnitModule(nn.Module):
    """A subject's first unit as a module: stimuli (N, *stimulus) to activations (N, 1).

    Its only child is the oracle's module, so that a library finds the layers.
    """

    def __init__(self, subject: Subject, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._subject = subject

    def forward(self, stimuli: torch.Tensor) -> torch.Tensor:
        """The activations as the oracle answers them, on the open account."""
        return self._subject.ask(stimuli)[:, :1]


def module_of(subject: Subject, instead: str) -> nn.Module:
    """The module that the subject's oracle runs.

    Raises:
        CapabilityMissing: if it runs none in this process.
    """
    if not isinstance(subject.oracle, HasModule):
        raise CapabilityMissing(
            f"{subject.method} changes the backward pass of single layers and needs the PyTorch "
            f"module itself, a torch_module oracle without wrappers, and this is a "
            f"{subject.info.kind} oracle; {instead}",
            field="oracle",
        )
    return subject.oracle.running_module()


@dataclass
class Seen:
    """What a forward pass until the unit's layer did.

    Attributes:
        runs: how often each ReLU module ran, by its name.
        layers: how often each layer without children ran, by its name.
        relus: number of ReLU operations, of modules and of functions.
        outside: names of the operations that no layer without children did, without those that
            only arrange values.
    """

    runs: Counter[str] = field(default_factory=Counter)
    layers: Counter[str] = field(default_factory=Counter)
    relus: int = 0
    outside: list[str] = field(default_factory=list)


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]  # of torch
    """Notes the operations of a forward pass.

    Attributes:
        depth: how many layers without children run now.
        active: whether the network runs and has not reached the unit's layer.
    """

    def __init__(self, seen: Seen) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # of torch
        self.seen = seen
        self.depth = 0
        self.active = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in RELU_OPERATIONS:
            self.seen.relus += 1
        name = func.overloadpacket.__name__
        if self.active and not self.depth and name not in (*PASSED_OPERATIONS, "relu", "relu_"):
            self.seen.outside.append(name)
        return func(*args, **(kwargs or {}))


def watched(subject: Subject, network: nn.Module, stimulus: torch.Tensor) -> Seen:
    """What a forward pass of one stimulus does until the subject's unit."""
    seen = Seen()
    operations = _Operations(seen)
    name = subject.units[0].layer
    last = network.get_submodule(name) if name in dict(network.named_modules()) else network
    with ExitStack() as hooks:

        def add(handle: Any) -> None:
            hooks.callback(handle.remove)

        add(network.register_forward_pre_hook(_setting(operations, "active", True)))
        for called, module in network.named_modules():
            if not any(True for _ in module.children()):
                add(module.register_forward_pre_hook(_counting(seen.layers, called)))
                add(module.register_forward_pre_hook(_setting(operations, "depth", 1)))
                add(module.register_forward_hook(_setting(operations, "depth", 0)))
            if isinstance(module, nn.ReLU):
                add(module.register_forward_pre_hook(_counting(seen.runs, called)))
        add(last.register_forward_hook(_setting(operations, "active", False)))
        hooks.enter_context(operations)
        with torch.no_grad(), subject.billed():
            subject.ask(stimulus[None])
    return seen


def check_relus(subject: Subject, seen: Seen) -> None:
    """Check that every ReLU before the unit is a module that runs once.

    captum replaces the gradients of ReLU modules by hooks. A ReLU that is called as a function has
    no hook, and a module that runs twice has one hook for two places: both give a wrong map.

    Raises:
        Unsupported: where a ReLU is reused, is a function, or where there is none.
    """
    reused = [name for name, times in seen.runs.items() if times > 1]
    if reused:
        raise Unsupported(
            f"{subject.method}: the ReLU module {reused[0]!r} runs {seen.runs[reused[0]]} times in "
            "a forward pass, so its gradients cannot be told apart; give each place a ReLU of its "
            "own, or use saliency or occlusion"
        )
    functions = seen.relus - sum(seen.runs.values())
    if functions > 0:
        raise Unsupported(
            f"{subject.method}: {functions} ReLUs before the unit are function calls, which no "
            "hook reaches; write them as nn.ReLU modules, or use saliency or occlusion"
        )
    if not seen.runs:
        raise Unsupported(
            f"{subject.method} changes the gradients of ReLUs, and there is none before "
            f"{subject.units[0]}; use saliency or integrated_gradients"
        )


def check_in_layers(subject: Subject, seen: Seen) -> None:
    """Check that layers do everything that has a rule of relevance.

    captum gives relevance a rule in layers alone. Through a function, such as a mean over
    positions, relevance would pass like a gradient: the sum is right, and the map is wrong.

    Raises:
        Unsupported: for the first operation outside layers, and for a layer that runs twice.
    """
    reused = [name for name, times in seen.layers.items() if times > 1]
    if reused:
        raise Unsupported(
            f"{subject.method}: layer {reused[0]!r} runs {seen.layers[reused[0]]} times in a "
            "forward pass, so its relevance cannot be told apart; give each place a layer of its "
            "own, or use integrated_gradients or rise"
        )
    if seen.outside:
        raise Unsupported(
            f"{subject.method}: the operation {seen.outside[0]!r} before {subject.units[0]} is a "
            "function call, which has no rule of relevance; write it as a layer, such as "
            "nn.AvgPool2d or nn.AdaptiveAvgPool2d for a mean over positions, or use "
            "integrated_gradients or rise"
        )


def _setting(operations: _Operations, name: str, value: int) -> Any:
    def hook(*_: Any) -> None:
        setattr(operations, name, value)

    return hook


def _counting(runs: Counter[str], name: str) -> Any:
    def hook(module: nn.Module, inputs: Any) -> None:  # noqa: ARG001
        runs[name] += 1

    return hook


def layer_of(network: nn.Module, name: str) -> nn.Module:
    """The layer called `name`.

    Raises:
        Unsupported: if the name is no module, such as an attention head.
    """
    try:
        return network.get_submodule(name)
    except AttributeError as error:
        raise Unsupported(
            f"layer {name!r} is no module of the model, so its gradients cannot be read; name a "
            "convolution or a block"
        ) from error
