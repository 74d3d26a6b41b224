"""A small random data set and an untrained teacher."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from blackbox_am.zoo.nets import CifarResNet
from training.__main__ import main


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    draw = np.random.default_rng(0)
    for name, count in (("cifar10_train_10000.npz", 40), ("cifar10_test_1000.npz", 40)):
        x = draw.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        np.savez(folder / name, x=x, y=np.arange(count) % 10)
    return folder


@pytest.fixture(scope="session")
def teacher(tmp_path_factory):
    theirs = {"stem": "conv1", "stem_bn": "bn1", "head": "linear"}
    torch.manual_seed(0)
    state = CifarResNet((16, 32, 64), (3, 3, 3), shortcut="pad").state_dict()
    renamed = {}
    for name, value in state.items():
        first, _, rest = name.partition(".")
        renamed[f"{theirs.get(first, first)}.{rest}"] = value
    target = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    save_file(renamed, target)
    return target


@pytest.fixture
def train():
    """A function that runs a training and returns its exit code."""

    def run(task, data, out, teacher, *more):
        arguments = [task, "--data", str(data), "--out", str(out), "--device", "cpu", *more]
        return main([*arguments, "--teacher", str(teacher)] if teacher else arguments)

    return run
