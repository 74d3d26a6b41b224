"""Weights as other tools save them are loaded, or the message says what to give."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

from blackbox_am.core.units import Unit
from blackbox_am.errors import BlackboxError, InvalidSpec, NotFound
from blackbox_am.oracles.torch.torch_module import TorchModule

SHAPE = (3, 8, 8)
State = dict[str, torch.Tensor]


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 5))


def prefixed(state: State, prefix: str) -> State:
    return {f"{prefix}{name}": value for name, value in state.items()}


def loaded(weights: Path) -> TorchModule:
    oracle = TorchModule(net(), SHAPE, weights=str(weights), device="cpu")
    oracle.describe()
    return oracle


def is_like(oracle: TorchModule, module: nn.Module) -> bool:
    stimuli = torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = module.eval()(stimuli)[:, 3]
    found = oracle.observe(stimuli, [Unit("output", 3)])[:, 0]
    return torch.allclose(found.double(), expected.double(), atol=1e-5)


def sharded(folder: Path, state: State) -> Path:
    names, parts = list(state), ("m-00001-of-00002.safetensors", "m-00002-of-00002.safetensors")
    where = {name: parts[place > 1] for place, name in enumerate(names)}
    for part in parts:
        save_file({n: state[n] for n in names if where[n] == part}, folder / part)
    index = folder / "m.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": where}))
    return index


def test_a_prefix_with_other_names_beside_it(tmp_path: Path) -> None:
    module = net()
    state = prefixed(module.state_dict(), "model.") | {"loss.weight": torch.ones(5)}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "lightning.ckpt")
    oracle = loaded(tmp_path / "lightning.ckpt")
    assert is_like(oracle, module)
    assert "took 'model.' off the names in lightning.ckpt, and left out loss.weight" in " ".join(
        oracle.describe().notes
    )
    averaged = AveragedModel(module)
    torch.save(averaged.state_dict(), tmp_path / "averaged.pt")
    assert is_like(loaded(tmp_path / "averaged.pt"), module)


def test_two_models_in_one_state_are_refused(tmp_path: Path) -> None:
    state = prefixed(net().state_dict(), "student.") | prefixed(net().state_dict(), "teacher.")
    torch.save(state, tmp_path / "both.pt")
    with pytest.raises(InvalidSpec, match=r"the module has no student\."):
        loaded(tmp_path / "both.pt")


def test_sharded_weights(tmp_path: Path) -> None:
    module = net()
    index = sharded(tmp_path, module.state_dict())
    oracle = loaded(index)
    assert is_like(oracle, module)
    with pytest.raises(InvalidSpec, match=r"one part of a model, give its index m\.safetensors"):
        loaded(tmp_path / "m-00001-of-00002.safetensors")
    before = oracle.fingerprint().digest
    sharded(tmp_path, net().state_dict())
    assert loaded(index).fingerprint().digest != before  # of the files that the index names
    (tmp_path / "m-00002-of-00002.safetensors").unlink()
    with pytest.raises(NotFound, match=r"names m-00002-of-00002\.safetensors"):
        loaded(index)
    index.write_text(json.dumps({"weight_map": {"0.weight": "../secret.safetensors"}}))
    with pytest.raises(InvalidSpec, match=r"expected \.safetensors files in its folder"):
        loaded(index)
    index.write_text("{}")
    with pytest.raises(InvalidSpec, match="weight_map"):
        loaded(index)


@pytest.mark.parametrize("model", ["c.pt", "/far/c.pth", "./c.ckpt", "c.safetensors", "c.onnx"])
def test_a_file_of_weights_is_no_model(model: str) -> None:
    with pytest.raises(InvalidSpec, match="is a file; weights need their module") as found:
        TorchModule(model, SHAPE, device="cpu").describe()
    assert "torchscript:FILE" in found.value.message


class HalfScale(nn.Module):
    """A model whose first parameter alone is in half precision."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((1,), 2.0, dtype=torch.float16))
        self.linear = nn.Linear(192, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x.flatten(1)) * self.scale


def test_a_first_weight_in_half_precision() -> None:
    module = HalfScale()
    assert is_like(TorchModule(module, SHAPE, device="cpu"), module)
    assert module.scale.dtype == torch.float16


def test_precisions_that_do_not_fit_together_are_named() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3).half(), nn.Flatten(), nn.Linear(144, 5))
    with pytest.raises(BlackboxError, match="float16 and float32; give dtype='float32'"):
        TorchModule(module, SHAPE, device="cpu").describe()
    assert TorchModule(module, SHAPE, device="cpu", dtype="float32").describe().layers
