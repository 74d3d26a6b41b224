"""Equal modules have the same digest in every process, whatever memory addresses and hashes are."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from blackbox_am.core.digests import Digest, Unnamed, of_value

SHOW = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("steady", sys.argv[1])
steady = importlib.util.module_from_spec(spec)
sys.modules["steady"] = steady
spec.loader.exec_module(steady)
for name in steady.VALUES:
    print(name, steady.digest_of(name), sep="=")
"""


def up(x: Any) -> Any:
    return x + 1


def down(x: Any) -> Any:
    return x - 1


class Scale:
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, x: Any) -> Any:
        return x * self.factor


class Way(Enum):
    UP = functools.partial(up)
    DOWN = (down, 1)


class Net(nn.Module):
    STEPS: ClassVar[Any] = (up, Scale(2.0))

    def __init__(self, value: Any = None) -> None:
        super().__init__()
        self.value = value

    def extra_repr(self) -> str:
        return f"step={self.STEPS[0]}"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.STEPS[0](x)
        return found


class Downwards(Net):
    STEPS: ClassVar[Any] = (down, Scale(2.0))


class Doubled(Net):
    STEPS: ClassVar[Any] = (up, Scale(4.0))


class Listed(Net):
    STEPS: ClassVar[Any] = [up]


VALUES: dict[str, tuple[Any, Any]] = {
    "mapping by function": ({up: 1, down: 2}, {up: 2, down: 1}),
    "mapping by objects": ({Scale(1): up, Scale(2): down}, {Scale(1): down, Scale(2): up}),
    "mapping by frozen sets": ({frozenset({"a", "b", "c"}): 1}, {frozenset({"a", "b", "d"}): 1}),
    "set of functions": ({up, down}, {up}),
    "set of objects": ({Scale(1), Scale(2)}, {Scale(1), Scale(3)}),
    "set of texts": ({"a", "b", "c"}, {"a", "b", "d"}),
    "enumeration of functions": (Way.UP, Way.DOWN),
    "slice": (slice(1, 2), slice(1, 3)),
    "number of numpy": (np.float32(0.5), np.float32(0.25)),
}


def digest_of(name: str) -> str:
    found = of_value(Net(VALUES[name][0]))
    assert isinstance(found, Digest)
    return found.text


@pytest.mark.parametrize("name", VALUES)
def test_other_values_have_another_digest(name: str) -> None:
    assert of_value(Net(VALUES[name][1])) != of_value(Net(VALUES[name][0]))


def test_other_processes_find_the_same_digests(tmp_path: Path) -> None:
    path = os.pathsep.join(sys.path)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SHOW, __file__],
            stdout=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed},
        )
        for seed in ("1", "2")
    ]
    one, other = (process.communicate()[0].splitlines() for process in running)
    assert len(one) == len(VALUES)
    assert one == other


def test_functions_and_containers_that_are_attributes_of_a_class_count() -> None:
    digests = {str(of_value(kind())) for kind in (Net, Downwards, Doubled, Listed)}
    assert len(digests) == 4


@pytest.mark.parametrize(
    "value", [{up: 1}, {up: torch.ones(1)}, {up}, {Scale(1)}], ids=["key", "both", "set", "object"]
)
def test_what_has_no_fixed_text_has_no_name_that_another_process_could_find(value: Any) -> None:
    assert isinstance(of_value(value), Unnamed)
