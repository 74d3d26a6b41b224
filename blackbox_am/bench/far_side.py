"""Servers in separate processes for `bench oracle` and `bench kill`.

There are five kinds: a blackbox_am server with oracles of negligible cost, one with the shipped
`cifar_cnn` that writes down the rows it serves, an HTTP API, a server of the Open Inference
Protocol, and the bare gRPC server of `bare_grpc`.
"""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from blackbox_am.bench.problems import resnet20
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.capability import Capability
from blackbox_am.core.oracle import Oracle, check_stimuli, check_units
from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import ServerUnavailable
from blackbox_am.service import Config, serve
from blackbox_am.testing.inference_model import inference_model
from blackbox_am.testing.json_api import json_api

CLASSES = 10
ENDS = ("bare", "service", "counted", "api", "inference")


@dataclass(frozen=True)
class FirstNumbers(Oracle):
    """An oracle that returns the first numbers of each stimulus; its cost is the transport.

    Attributes:
        stimulus_shape: shape of one stimulus.
        units: number of returned numbers.
        batch_size: rows in one call.
    """

    kind: ClassVar[str] = "first_numbers"

    stimulus_shape: tuple[int, ...]
    units: int = 2
    batch_size: int = 1

    def describe(self) -> OracleInfo:
        layer = LayerInfo("numbers", "scores", (self.units,), ("unit",))
        return OracleInfo(
            self.kind,
            Capability.SCORES | Capability.UNITS,
            self.stimulus_shape,
            (layer,),
            batch_size=self.batch_size,
        )

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        info = self.describe()
        check_stimuli(info, stimuli)
        check_units(info, units)
        return stimuli.flatten(1)[:, [unit.index for unit in units]]


@dataclass(frozen=True)
class Counted(Wrapper):
    """An oracle that writes the number of rows of each call to a file before it answers.

    Attributes:
        log: the file; one line a call.
    """

    kind: ClassVar[str] = "counted"

    log: str = ""

    @property
    def billable(self) -> bool:  # type: ignore[override]  # as `Wrapper`
        """Whether a row costs something. It does: the server sends no rows to fill a batch."""
        return True

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        with Path(self.log).open("a", encoding="utf-8") as sink:
            sink.write(f"{len(stimuli)}\n")
        return self.ask(stimuli, units)


class FarSide:
    """A server in a separate process; the end of the context stops it.

    Args:
        end: kind of the server, one of `ENDS`.
        arguments: further arguments of the program.

    Attributes:
        address: host:port of the server.
    """

    def __init__(self, end: str, *arguments: str) -> None:
        program = ["bare_grpc"] if end == "bare" else ["far_side", end]  # bare_grpc starts faster
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
            raise ServerUnavailable(
                f"{' '.join(self._command)} ended before it listened; run it to see why"
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def _listening(address: str) -> None:
    print(address, flush=True)  # the parent process reads the address


def _service(size: int, rows: int, assets: Path | None) -> None:
    catalogue = Catalogue()
    catalogue.add_oracle("large", FirstNumbers((3, size, size), batch_size=rows))
    catalogue.add_oracle("small", FirstNumbers((3, 32, 32), batch_size=1))
    if assets is not None:
        catalogue.add_oracle("resnet20", resnet20(assets))
    config = Config("127.0.0.1:0", store=":memory:", device="cpu", catalogue=catalogue)
    serve(config, _listening)


def _counted(log: Path) -> None:
    catalogue = Catalogue()
    oracle = Counted(Catalogue.default().oracle("cifar_cnn"), str(log))
    oracle.describe()  # the model is loaded before a caller waits for it
    catalogue.add_oracle("counted", oracle)
    serve(Config("127.0.0.1:0", store=":memory:", device="cpu", catalogue=catalogue), _listening)


def _api(assets: Path) -> None:
    scores = _scores(assets)

    def answer(request: dict[str, list[str]]) -> dict[str, Any]:
        files = [Image.open(io.BytesIO(b64decode(text))) for text in request["images"]]
        pixels = np.stack([np.asarray(file) for file in files])
        images = pixels.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
        return {"scores": scores(images).tolist()}

    with json_api(answer) as address:
        _listening(address)
        threading.Event().wait()  # until a signal ends this process


def _inference(assets: Path) -> None:
    with inference_model(_scores(assets), (3, 32, 32), CLASSES) as address:
        _listening(address)
        threading.Event().wait()  # until a signal ends this process


def _scores(assets: Path) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """A function from images (N, 3, 32, 32) in [0, 1] to the class scores of ResNet-20."""
    oracle = resnet20(assets)
    units = [Unit("head", index) for index in range(CLASSES)]

    def scores(images: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            return oracle.observe(torch.tensor(images), units).numpy()

    return scores


if __name__ == "__main__":
    end, *arguments = sys.argv[1:]
    if end == "service":
        size, rows, *folder = arguments
        _service(int(size), int(rows), Path(folder[0]) if folder else None)
    else:
        {"counted": _counted, "api": _api, "inference": _inference}[end](Path(arguments[0]))
