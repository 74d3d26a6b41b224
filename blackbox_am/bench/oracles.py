"""`bench oracle`: the overhead of an oracle.

(a) A large batch through `ObserveStream` to a server in another process, compared with bare gRPC
    that transfers the same bytes in the same pieces. Both are measured in turn.
(b) A small call, compared with a bare gRPC call with messages of the same size.
(c) An answer from the cache, compared with the forward pass of the shipped network.

The module `oracle_kinds` measures (d), and `layers` (e).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from blackbox_am.bench.bare_grpc import ANSWER_BYTES, Bare
from blackbox_am.bench.far_side import CLASSES, FarSide
from blackbox_am.bench.measurement import Measurement, compare, in_turn, rates
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidInput, OracleFailed, did_you_mean
from blackbox_am.oracles.grpc.remote import Remote
from blackbox_am.oracles.wrappers.cache import Cache

Say = Callable[[str], None]

NUMBERS = [Unit("numbers", 0), Unit("numbers", 1)]
PARTS = ("stream", "call", "cache", "resnet", "layers")
CALLS = 40
"""Number of consecutive small calls; the measurement is their median."""


def check(parts: Sequence[str]) -> None:
    """Check the names of parts.

    Raises:
        InvalidInput: if a part is unknown; the message names it.
    """
    for part in parts:
        if part not in PARTS:
            raise InvalidInput(
                f"unknown part {part!r}{did_you_mean(part, PARTS)}; the parts are "
                f"{', '.join(PARTS)}",
                field="part",
            )


def stream(repeats: int, rows: int, size: int, say: Say) -> list[Measurement]:
    """Measure (a) with `rows` stimuli of 3 x `size` x `size`."""
    stimuli = torch.rand(rows, 3, size, size, generator=torch.Generator().manual_seed(0))
    data = memoryview(stimuli.numpy().data).cast("B")
    with FarSide("bare") as bare_end, FarSide("service", str(size), str(rows)) as service:
        bare = Bare(bare_end.address)
        exact = Remote(service.address, "large")
        rounded = Remote(service.address, "large", dtype="uint8")
        ways: dict[str, Callable[[], object]] = {
            "sink": lambda: bare.sink(data),
            "float32": lambda: _carried(exact, stimuli, 0.0),
            "echo": lambda: bare.echo(data),
            "uint8": lambda: _carried(rounded, stimuli, 0.5 / 255),
        }
        found = in_turn(ways, repeats, "(a) stream", say)
        exact.close()
        rounded.close()
        bare.close()
    megabytes = rates(found, data.nbytes / 1e6)
    per_second = rates(found, rows)
    floats = compare(
        "(a) ObserveStream / bare sink", megabytes["float32"], megabytes["sink"], "MB/s",
        at_least=0.7,
    )  # fmt: skip
    return [
        floats,
        compare(
            "(a) ObserveStream / bare echo",
            megabytes["float32"],
            megabytes["echo"],
            "MB/s",
            at_least=0.7,
        ),
        Measurement(
            "(a) ObserveStream", floats.value, "MB/s", target=">= 400 MB/s", met=floats.value >= 400
        ),
        compare(
            "(a) uint8 / float32", per_second["uint8"], per_second["float32"], "rows/s", at_least=4
        ),
    ]


def small_call(repeats: int, say: Say) -> Measurement:
    """Measure (b) with one stimulus of 3 x 32 x 32."""
    stimulus = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    payload = bytes(4 * stimulus.numel() + ANSWER_BYTES)
    with FarSide("bare") as bare_end, FarSide("service", "32", "1") as service:
        bare = Bare(bare_end.address)
        oracle = Remote(service.address, "small")
        ways: dict[str, Callable[[], object]] = {
            "bare": lambda: bare.call(payload),
            "ours": lambda: oracle.observe(stimulus, NUMBERS),
        }
        found = in_turn(ways, repeats, "(b) small call", say, calls=CALLS)
        oracle.close()
        bare.close()
    ratio = compare("", found["ours"], found["bare"], "s")
    more = 1e3 * float(np.median(np.subtract(found["ours"], found["bare"])))
    return Measurement(
        "(b) time of a call minus a bare call", more, "ms", 1e3 * ratio.baseline, ratio.ratio,
        "<= 1 ms", more <= 1, ratio.low, ratio.high,
    )  # fmt: skip


def cache_hit(repeats: int, rows: int, say: Say) -> Measurement:
    """Measure (c) with `rows` images of 3 x 32 x 32."""
    model = Catalogue.default().oracle("cifar_cnn")
    images = torch.rand(rows, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    units = [Unit("head", index) for index in range(CLASSES)]
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        cached = Cache(model, str(Path(folder) / "answers.sqlite3"))
        bought = cached.observe(images, units)
        ways: dict[str, Callable[[], object]] = {
            "forward": lambda: model.observe(images, units),
            "hit": lambda: cached.observe(images, units),
        }
        found = in_turn(ways, repeats, "(c) cache", say)
        if not torch.equal(cached.observe(images, units), bought):
            raise OracleFailed("the cache returned other activations than the model")
        cached.close()
    speeds = rates(found, rows)
    return compare(
        "(c) cache hit / forward", speeds["hit"], speeds["forward"], "rows/s", at_least=20
    )


def _carried(oracle: Remote, stimuli: torch.Tensor, tolerance: float) -> None:
    """Observe the stimuli and check that every row of the answer belongs to its stimulus."""
    answer = oracle.observe(stimuli, NUMBERS)
    if not torch.allclose(answer, stimuli.flatten(1)[:, :2], rtol=0, atol=tolerance + 1e-6):
        raise OracleFailed("the oracle received other stimuli than were sent")
