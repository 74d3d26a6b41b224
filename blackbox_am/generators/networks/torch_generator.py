"""Any PyTorch module as a generator."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch

from blackbox_am.core.weights import fill, read_checkpoint
from blackbox_am.generators.networks._files import Computed, Prior
from blackbox_am.generators.networks._modules import GENERATOR_ENTRIES, built


@dataclass(frozen=True, eq=False)
class TorchGenerator(Computed):
    """A PyTorch module from latents (N, *latent_shape) to stimuli, of any architecture.

    A module in memory is copied; the copy runs in eval mode with frozen parameters. In a
    configuration file, `model` names the operator's own code:

        kind = "torch_generator"
        model = "my_nets:Generator"        # a class, a function that makes a module, or a module
        arguments = { width = 64 }
        weights = "generator.pth"
        dimension = 100
        latent_shape = [100, 1, 1]
        shape = [3, 64, 64]

    Attributes:
        model: `torch.nn.Module`, or `package.module:NAME`.
        dimension, shape: D, and the shape of one stimulus.
        arguments: of the class or function.
        weights: a state dict, as `torch.save` or safetensors writes it, or a checkpoint that has it
            under one of the usual names (`netG_state_dict`, `g_ema`, `generator`, ...). Read with
            `weights_only`. The module's own weights unless given.
        licence_name: licence of the weights.

    The other parameters are those of `torchscript`: prior, low, high, latent_shape, output_range,
    clip and rows.

    Raises:
        InvalidSpec: for numbers that do not fit together; at the first use, for code that cannot be
            imported, weights of another module (the message names the tensors), or outputs of
            another shape or range.
        NotFound: at the first use, if there is no file of weights.
    """

    kind: ClassVar[str] = "torch_generator"
    source_field: ClassVar[str] = "model"
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"licence_name"})

    model: Any
    dimension: int
    shape: tuple[int, ...]
    prior: Prior = "normal"
    low: float = -1.0
    high: float = 1.0
    latent_shape: tuple[int, ...] = ()
    output_range: tuple[float, float] = (-1.0, 1.0)
    clip: bool = False
    rows: int | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    weights: str = ""
    licence_name: str = ""

    @property
    def licence(self) -> str:
        return self.licence_name

    @property
    def source_name(self) -> str:
        return repr(self.model) if isinstance(self.model, str) else type(self.model).__name__

    @property
    def differentiable(self) -> bool:
        return self.carries_gradients()

    def contents(self) -> Mapping[str, object]:
        # The code may read other files. The built module identifies the generator completely.
        return {"model": self.computation, "weights": None, "arguments": None}

    def load(self) -> Any:
        module = copy.deepcopy(built("model", self.model, self.arguments))
        if self.weights:
            path = Path(self.weights)
            fill(module, read_checkpoint(path, preferred=GENERATOR_ENTRIES).state, path)
        return module.eval().requires_grad_(False)

    def compute(self, computation: Any, latents: torch.Tensor) -> Any:
        return computation(latents)

    def moved(self, computation: Any, device: torch.device) -> Any:
        return computation.to(device)
