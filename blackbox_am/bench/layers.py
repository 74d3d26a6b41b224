"""`bench oracle` (e): reading many layers in one pass, by ONNX Runtime and by torch.

Both run the shipped CNN on the same rows, on as many threads, and read the same layers: the scores,
the first activation, all activations, and all of these together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from blackbox_am.bench.measurement import Measurement, compare, in_turn, rates
from blackbox_am.bench.oracle_kinds import exported
from blackbox_am.bench.problems import MEAN, STD
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.units import Unit
from blackbox_am.errors import MissingExtra
from blackbox_am.oracles.onnx import Onnx
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.zoo.loading import load_classifier

Say = Callable[[str], None]

SHAPE = (3, 32, 32)


def layers(repeats: int, rows: int, say: Say) -> list[Measurement]:
    """Measure (e) with `rows` images; nothing if ONNX Runtime is not installed."""
    network = load_classifier("cifar_cnn")
    threads = torch.get_num_threads()
    ours = TorchModule(network, SHAPE, MEAN, STD, device="cpu")
    onnx = Onnx(exported(network), SHAPE, MEAN, STD, threads=threads)
    whole = Onnx(exported(network), SHAPE, MEAN, STD, threads=threads, optimised=False)
    try:
        onnx.describe()
    except MissingExtra as error:
        say(f"(e) skipped: {error.message}")
        return []
    images = torch.rand(rows, *SHAPE, generator=torch.Generator().manual_seed(0))
    lines = []
    for title, chosen in CHOICES.items():
        ways: dict[str, Callable[[], object]] = {
            "torch": _reading(ours, chosen(ours), images),
            "onnx": _reading(onnx, chosen(onnx), images),
            "one pass": _reading(whole, chosen(whole), images),
        }
        found = rates(in_turn(ways, repeats, f"(e) {title}", say), rows)
        count = len(chosen(ours))
        named = f"(e) {title} ({count} layer{'s' if count > 1 else ''})"
        lines.append(compare(f"{named}: onnx / torch", found["onnx"], found["torch"], "rows/s"))
        lines.append(
            compare(f"{named}: not optimised / torch", found["one pass"], found["torch"], "rows/s")
        )
    onnx.close()
    whole.close()
    return lines


def _reading(oracle: Oracle, names: Sequence[str], images: torch.Tensor) -> Callable[[], object]:
    units = [Unit(name, index) for name in names for index in range(2)]

    def read() -> torch.Tensor:
        with torch.no_grad():
            return oracle.observe(images, units)

    return read


def _scores(oracle: Oracle) -> list[str]:
    return [oracle.describe().layers[-1].name]


def _activations(oracle: Oracle) -> list[str]:
    return [layer.name for layer in oracle.describe().layers if layer.kind == "activation"]


CHOICES: dict[str, Callable[[Oracle], list[str]]] = {
    "scores": _scores,
    "first activation": lambda oracle: _activations(oracle)[:1],
    "activations": _activations,
    "activations and scores": lambda oracle: [*_activations(oracle), *_scores(oracle)],
}
"""For each choice of layers, the function that names them."""
