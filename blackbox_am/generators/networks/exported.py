"""A generator in a file of torch.export."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from blackbox_am.core.program_files import read_exported
from blackbox_am.errors import Unsupported
from blackbox_am.generators.networks._files import FromFile


@dataclass(frozen=True)
class Exported(FromFile):
    """A generator that `torch.export.save` wrote, from latents (N, *latent_shape) to stimuli.

    Export it in eval mode with a dynamic first axis (``dynamic_shapes``), or set `rows` to
    the number of rows it was exported with. Gradients pass if the graph is differentiable. A file
    with objects that only pickle could read is refused, because pickle can run code.
    """

    kind: ClassVar[str] = "exported"

    @property
    def differentiable(self) -> bool:
        return self.carries_gradients()

    def read(self) -> Any:
        with _quiet():
            program = read_exported(Path(self.path), self.source_field)
        return _Program(program)

    def compute(self, computation: Any, latents: torch.Tensor) -> Any:
        return computation.run(latents)

    def moved(self, computation: Any, device: torch.device) -> Any:
        return computation.on(device)


class _Program:
    """An exported program, and the module that runs it."""

    def __init__(self, program: Any) -> None:
        self._program = program
        self.run = program.module().requires_grad_(False)

    def on(self, device: torch.device) -> _Program:
        """The program with its weights, and the constants in its graph, on `device`."""
        try:
            from torch.export.passes import move_to_device_pass
        except ImportError as error:
            raise Unsupported(
                f"exported: PyTorch {torch.__version__} cannot move an exported program to "
                f"{device}; a newer one can"
            ) from error
        return _Program(move_to_device_pass(self._program, device))


@contextmanager
def _quiet() -> Iterator[None]:
    """PyTorch logs a traceback for a file that it cannot read, although it also raises an error."""
    log = logging.getLogger("torch.export")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before
