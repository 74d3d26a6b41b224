"""A generator in an ONNX file, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from blackbox_am.core.onnx_session import model_files, open_session
from blackbox_am.errors import InvalidSpec, OracleFailed
from blackbox_am.generators.networks._files import FromFile


@dataclass(frozen=True)
class Onnx(FromFile):
    """A generator as an ONNX graph of one float32 input, run by ONNX Runtime; no gradients.

    The first of several outputs is used. Export it with a dynamic first axis, or set `rows` to the
    number of rows it was exported with. Stimuli come back on the CPU.

    Attributes:
        providers: execution providers, the preferred first, such as `CUDAExecutionProvider`.
        provider_options: for each provider by name, its options.
        threads: number of threads for one operator; ONNX Runtime's choice unless given.
    """

    kind: ClassVar[str] = "onnx"
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"threads"})

    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    provider_options: dict[str, dict[str, str]] = field(default_factory=dict)
    threads: int | None = None

    def contents(self) -> Mapping[str, object]:
        return {"path": model_files(self.path)}

    def read(self) -> Any:
        session = open_session(
            self.path, repr(self.path), self.providers, self.provider_options, self.threads
        )
        inputs = session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)":
            found = ", ".join(f"{entry.name}: {entry.type}" for entry in inputs) or "none"
            raise InvalidSpec(
                f"path: expected one input of float32 in {self.path!r}, found {found}",
                field="path",
            )
        return session

    def compute(self, computation: Any, latents: torch.Tensor) -> Any:
        name = computation.get_inputs()[0].name
        rows = latents.detach().cpu().numpy()
        try:
            made = computation.run(None, {name: rows})[0]
        except Exception as error:  # ONNX Runtime's errors have no common class of their own
            raise OracleFailed(
                f"ONNX Runtime raised {type(error).__name__} on latents of shape {rows.shape}: "
                f"{error}"
            ) from error
        return torch.from_numpy(made) if hasattr(made, "dtype") else made

    def to(self, device: torch.device | str) -> None:
        """Does nothing: the providers determine the device."""
        del device
