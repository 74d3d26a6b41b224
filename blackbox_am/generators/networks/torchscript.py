"""A generator in a TorchScript file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from blackbox_am.core.program_files import read_script
from blackbox_am.generators.networks._files import FromFile


@dataclass(frozen=True)
class TorchScript(FromFile):
    """A generator that `torch.jit.save` wrote, from latents (N, *latent_shape) to stimuli.

    Runs in eval mode, with gradients if the output carries gradients. A file of TorchScript is a
    program: load only files whose author you trust. PyTorch has deprecated the format for
    `torch.export`, whose files the generator `exported` takes.
    """

    kind: ClassVar[str] = "torchscript"

    @property
    def differentiable(self) -> bool:
        return self.carries_gradients()

    def read(self) -> Any:
        module = read_script(Path(self.path), "cpu", self.source_field)
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        return module.eval()

    def compute(self, computation: Any, latents: torch.Tensor) -> Any:
        return computation(latents)

    def moved(self, computation: Any, device: torch.device) -> Any:
        return computation.to(device)
