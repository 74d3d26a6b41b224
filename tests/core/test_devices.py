"""Devices: from what a person writes to one that exists, or a sentence."""

import pytest
import torch

from blackbox_am.core.devices import resolve_device
from blackbox_am.errors import InvalidSpec, Unsupported


def test_auto_is_what_there_is() -> None:
    assert resolve_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    assert resolve_device("CPU") == "cpu"


@pytest.mark.parametrize("device", ["", "tpu", "mps", "cuda:x", "cuda 1"])
def test_what_is_no_device_is_refused(device: str) -> None:
    with pytest.raises(InvalidSpec, match="expected auto, cpu, cuda"):
        resolve_device(device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("device", ["cuda", "gpu", "cuda:3"])
def test_a_device_that_is_not_here_is_refused(device: str) -> None:
    with pytest.raises(Unsupported, match=rf"device '{device}': .*use cpu"):
        resolve_device(device)


@pytest.mark.cuda
def test_a_number_beyond_the_devices_says_which_there_are() -> None:
    assert resolve_device("gpu") == "cuda"
    with pytest.raises(Unsupported, match=r"cuda:0 \("):
        resolve_device("cuda:99")
