"""The other end of the wire in a process of its own, for `bench oracle`.

Three ends: a server of ours with oracles that cost next to nothing, an HTTP API, and, in
`bare_grpc`, gRPC that looks at nothing of what it carries.
"""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from PIL import Image

from blackbox_am.bench.problems import resnet20
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.oracle import Oracle, check_stimuli, check_units
from blackbox_am.core.types import Capability, LayerInfo, OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import ServerUnavailable
from blackbox_am.service import Config, serve
from blackbox_am.testing.json_api import json_api

CLASSES = 10
ENDS = ("bare", "service", "api")


@dataclass(frozen=True)
class FirstNumbers(Oracle):
    """Answers with the first numbers of each stimulus: what it takes, it takes to be carried.

    Attributes:
        stimulus_shape: shape of one stimulus.
        units: how many numbers.
        batch_size: rows in one call.
    """

    kind: ClassVar[str] = "first_numbers"

    stimulus_shape: tuple[int, ...]
    units: int = 2
    batch_size: int = 1

    def describe(self) -> OracleInfo:
        layer = LayerInfo("numbers", "scores", (self.units,), ("unit",))
        return OracleInfo(
            self.kind, Capability.UNITS, self.stimulus_shape, (layer,), batch_size=self.batch_size
        )

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        info = self.describe()
        check_stimuli(info, stimuli)
        check_units(info, units)
        return stimuli.flatten(1)[:, [unit.index for unit in units]]


class FarSide:
    """One end in a process of its own while the context lasts.

    Args:
        end: one of `ENDS`.
        arguments: what it is told besides.

    Attributes:
        address: host:port.
    """

    def __init__(self, end: str, *arguments: str) -> None:
        program = ["bare_grpc"] if end == "bare" else ["far_side", end]  # the former starts at once
        self._command = [sys.executable, "-m", f"blackbox_am.bench.{program[0]}", *program[1:]]
        self._command += arguments
        self.address = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603  # our own command
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()
        if not self.address:
            self.__exit__()
            raise ServerUnavailable(f"{' '.join(self._command)} ended before it listened")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def _listening(address: str) -> None:
    print(address, flush=True)  # whoever started this process waits for it


def _service(size: int, rows: int, assets: Path | None) -> None:
    catalogue = Catalogue()
    catalogue.add_oracle("large", FirstNumbers((3, size, size), batch_size=rows))
    catalogue.add_oracle("small", FirstNumbers((3, 32, 32), batch_size=1))
    if assets is not None:
        catalogue.add_oracle("resnet20", resnet20(assets))
    config = Config("127.0.0.1:0", store=":memory:", device="cpu", catalogue=catalogue)
    serve(config, _listening)


def _api(assets: Path) -> None:
    oracle = resnet20(assets)
    units = [Unit("head", index) for index in range(CLASSES)]

    def answer(request: dict[str, list[str]]) -> dict[str, Any]:
        files = [Image.open(io.BytesIO(b64decode(text))) for text in request["images"]]
        pixels = np.stack([np.asarray(file) for file in files])
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        with torch.no_grad():
            return {"scores": oracle.observe(images, units).tolist()}

    with json_api(answer) as address:
        _listening(address)
        threading.Event().wait()  # until this process is ended


if __name__ == "__main__":
    end, *arguments = sys.argv[1:]
    if end == "service":
        size, rows, *folder = arguments
        _service(int(size), int(rows), Path(folder[0]) if folder else None)
    else:
        _api(Path(arguments[0]))
