"""The PyTorch module behind an oracle, for methods that change the backward pass of its layers."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
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


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]  # of torch
    """Counts ReLU operations, by modules and by functions."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # of torch
        self.found = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in RELU_OPERATIONS:
            self.found += 1
        return func(*args, **(kwargs or {}))


def check_relus(subject: Subject, network: nn.Module, stimulus: torch.Tensor) -> None:
    """Check by one forward pass that every ReLU before the unit is a module that runs once.

    captum replaces the gradients of ReLU modules by hooks. A ReLU that is called as a function has
    no hook, and a module that runs twice has one hook for two places: both give a wrong map.

    Raises:
        Unsupported: where a ReLU is reused, is a function, or where there is none.
    """
    runs: Counter[str] = Counter()
    with ExitStack() as hooks:
        for name, module in network.named_modules():
            if isinstance(module, nn.ReLU):
                handle = module.register_forward_pre_hook(_counting(runs, name))
                hooks.callback(handle.remove)
        operations = hooks.enter_context(_Operations())
        with torch.no_grad(), subject.billed():
            subject.ask(stimulus[None])
    reused = [name for name, times in runs.items() if times > 1]
    if reused:
        raise Unsupported(
            f"{subject.method}: the ReLU module {reused[0]!r} runs {runs[reused[0]]} times in a "
            "forward pass, so its gradients cannot be told apart; give each place a ReLU of its "
            "own, or use saliency or occlusion"
        )
    functions = operations.found - sum(runs.values())
    if functions > 0:
        raise Unsupported(
            f"{subject.method}: {functions} ReLUs before the unit are function calls, which no "
            "hook reaches; write them as nn.ReLU modules, or use saliency or occlusion"
        )
    if not runs:
        raise Unsupported(
            f"{subject.method} changes the gradients of ReLUs, and there is none before "
            f"{subject.units[0]}; use saliency or integrated_gradients"
        )


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
